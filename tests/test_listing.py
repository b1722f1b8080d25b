"""Which files of a repository make up a model, told from their names as repositories give them."""

import pytest

from qvq_cli.errors import DataError, UnavailableError
from qvq_cli.hub.listing import (
    check_names,
    find_files,
    find_model,
    is_cut_name,
    joined_name,
    mmproj_candidates,
    remote_models,
)
from qvq_cli.hub.remote_types import RemoteFile, Repository


def repository(*names: str) -> Repository:
    files = (RemoteFile(name, 100 + len(names), "ab" * 32, None) for name in names)
    return Repository("o/r", "c0ffee", None, {file.name: file for file in files})


MANY = repository(
    "README.md",
    "QVQ-72B-Preview-Q4_K_M.gguf",
    "QVQ-72B-Preview-Q6_K/QVQ-72B-Preview-Q6_K-00002-of-00002.gguf",
    "QVQ-72B-Preview-Q6_K/QVQ-72B-Preview-Q6_K-00001-of-00002.gguf",
    "QVQ-72B-Preview-Q5_K_M-00001-of-00002.gguf",
    "QVQ-72B-Preview.i1-Q8_0.gguf.part1of2",
    "QVQ-72B-Preview.i1-Q8_0.gguf.part2of2",
    "QVQ-72B-Preview-Q3_K_M.gguf.a",
    "QVQ-72B-Preview-Q3_K_M.gguf.b",
    "QVQ-72B-Preview.imatrix.gguf",
    "mmproj-QVQ-72B-Preview-f16.gguf",
)


def test_models_with_their_parts_in_order() -> None:
    models = {model.quant: model for model in remote_models(MANY)}
    assert models.keys() == {"Q4_K_M", "Q6_K", "Q8_0", "Q3_K_M"}  # of Q5_K_M a part is missing
    numbers = [part.name.split("-")[-3] for part in models["Q6_K"].parts]
    assert numbers == ["00001", "00002"]
    assert models["Q8_0"].name == "QVQ-72B-Preview.i1-Q8_0.gguf"
    assert [models[quant].is_cut for quant in ("Q4_K_M", "Q6_K", "Q8_0", "Q3_K_M")] == [
        False,
        False,
        True,
        True,
    ]
    assert [part.name[-1] for part in models["Q3_K_M"].parts] == ["a", "b"]


def test_mmprojs_by_name() -> None:
    assert [file.name for file in mmproj_candidates(MANY)] == ["mmproj-QVQ-72B-Preview-f16.gguf"]


def test_a_quant_that_isnt_there_or_is_there_twice() -> None:
    assert find_model(MANY, "q4_k_m").quant == "Q4_K_M"
    with pytest.raises(UnavailableError, match="no GGUF of quant Q2_K; it has"):
        find_model(MANY, "Q2_K")
    with pytest.raises(UnavailableError, match="2 models of quant Q8_0: a-Q8_0"):
        find_model(repository("a-Q8_0.gguf", "b-Q8_0.gguf"), "Q8_0")
    with pytest.raises(UnavailableError, match="nor of any other"):
        find_model(repository("README.md"), "Q8_0")


def test_files_by_path_or_by_name_in_another_folder() -> None:
    moved = repository("Q6_K /x-00001-of-00002.gguf", "a/y.gguf", "b/y.gguf")
    assert find_files(moved, ["Q6_K/x-00001-of-00002.gguf"])[0].name.startswith("Q6_K /")
    assert find_files(moved, ["b/y.gguf"])[0].name == "b/y.gguf"
    for gone in ("c/y.gguf", "z.gguf"):
        with pytest.raises(UnavailableError, match="no longer has"):
            find_files(moved, [gone])


def test_slices() -> None:
    assert joined_name("dir/x.gguf.part1of2") == "dir/x.gguf"
    assert is_cut_name("x.gguf.b")
    assert not is_cut_name("x-00001-of-00002.gguf")


@pytest.mark.parametrize("name", ["../x.gguf", "/x.gguf", "a//x.gguf", "a\\x.gguf", "c:x.gguf"])
def test_names_that_no_folder_here_may_have(name: str) -> None:
    with pytest.raises(DataError, match="which no folder here may have"):
        check_names([RemoteFile(name, 1, None, None)])
