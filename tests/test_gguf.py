"""The GGUF reader: what it reads from good files, and what it says is wrong with all others."""

import random
import struct
import tracemalloc
from pathlib import Path

import pytest

from gguf_samples import MMPROJ, MODEL, Sample, nano_model
from qvq_cli.errors import GgufError, InputNotFoundError
from qvq_cli.hub.ggml_types import ValueType
from qvq_cli.hub.gguf import GgufFile, read_gguf, read_strings
from qvq_cli.hub.gguf_header import GgufArray
from qvq_cli.hub.pair import check_pair

gguf_library = pytest.importorskip("gguf")


@pytest.mark.parametrize("path", [MODEL, MMPROJ])
def test_reads_what_the_gguf_library_reads(path: Path) -> None:
    ours, theirs = read_gguf(path), gguf_library.GGUFReader(path)
    assert ours.version == 3
    assert {
        tensor.name: (list(map(int, tensor.shape)), tensor.tensor_type.name, int(tensor.n_bytes))
        for tensor in theirs.tensors
    } == {
        tensor.name: (list(tensor.dims), tensor.type, tensor.n_bytes)
        for tensor in ours.tensors.values()
    }
    for key, field in theirs.fields.items():
        if key.startswith("GGUF."):
            continue
        value = ours.metadata[key]
        if isinstance(value, GgufArray):
            assert value.count == len(field.data)
        else:
            assert value == pytest.approx(field.contents())


def test_vocabulary_is_fetched_only_when_asked_for() -> None:
    gguf = read_gguf(MODEL)
    tokens = gguf.metadata["tokenizer.ggml.tokens"]
    assert isinstance(tokens, GgufArray)
    assert (tokens.count, tokens.values) == (1536, ())
    strings = read_strings(MODEL, tokens)
    assert strings[:3] == [b"!", b'"', b"#"]
    assert b"<|im_end|>" in strings


def test_short_arrays_keep_their_numbers() -> None:
    sections = read_gguf(MODEL).metadata["qwen2vl.rope.dimension_sections"]
    assert isinstance(sections, GgufArray)
    assert sections.values == (8, 12, 12, 0)


def test_weight_bytes_are_the_file_without_its_header() -> None:
    assert 0 < MODEL.stat().st_size - read_gguf(MODEL).weight_bytes < 80_000


def test_header_longer_than_the_first_read(tmp_path: Path) -> None:
    sample = nano_model()
    long = [b"x" * 100] * 30_000
    sample.values["tokenizer.ggml.scores_of_someone"] = (ValueType.STRING, long)
    gguf = read_gguf(sample.write(tmp_path / "long.gguf"))
    assert gguf.tensors.keys() == read_gguf(MODEL).tensors.keys()


FOREIGN = {
    "empty": (b"", "empty"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 4\n", "git-lfs"),
    "html": (b"\n <!DOCTYPE html><html><body>404</body></html>", "web page"),
    "json": (b'{"error":"Repository not found"}', "JSON"),
    "safetensors": (
        struct.pack("<Q", 40) + b'{"a":{"dtype":"F16","shape":[]}}' + bytes(64),
        "safet",
    ),
    "torch": (b"PK\x03\x04" + b"\0" * 26 + b"archive/data.pkl" + bytes(50), "PyTorch"),
    "zip": (b"PK\x03\x04" + b"\0" * 26 + b"readme.txt" + bytes(50), "zip archive"),
    "gzip": (b"\x1f\x8b\x08" + bytes(20), "gzip"),
    "pickle": (b"\x80\x02}q\x00.", "pickle"),
    "old": (b"tjgg" + bytes(30), "before GGUF"),
    "zeros": (bytes(5000), "all zeros"),
    "png": (b"\x89PNG\r\n\x1a\n" + bytes(20), "picture"),
    "noise": (b"qwertyuiop", "something else"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_says_what_a_foreign_file_is(name: str, tmp_path: Path) -> None:
    data, word = FOREIGN[name]
    path = tmp_path / "model.gguf"
    path.write_bytes(data)
    with pytest.raises(GgufError, match=f"model.gguf is not a GGUF file: it is .*{word}") as caught:
        read_gguf(path)
    assert caught.value.reference == "not-gguf"
    assert caught.value.hint


@pytest.mark.parametrize(
    ("version", "reference", "words"),
    [
        (1, "gguf-version", "older"),
        (0, "gguf-version", "older"),
        (4, "gguf-version", "newer"),
        (3 << 24, "big-endian-gguf", "big-endian"),
    ],
)
def test_refuses_versions_that_llama_cpp_refuses(
    version: int, reference: str, words: str, tmp_path: Path
) -> None:
    path = Sample(version=version).write(tmp_path / "x.gguf")
    with pytest.raises(GgufError, match=words) as caught:
        read_gguf(path)
    assert caught.value.reference == reference


def test_version_2_is_read(tmp_path: Path) -> None:
    sample = nano_model()
    sample.version = 2
    assert read_gguf(sample.write(tmp_path / "v2.gguf")).version == 2


def test_says_how_much_of_a_cut_file_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "cut.gguf"
    whole = MODEL.read_bytes()
    path.write_bytes(whole[:-1_000_000])
    end = len(whole) - 1_000_000
    with pytest.raises(GgufError, match=r"cut off: [\d,]+ of its") as caught:
        read_gguf(path)
    missing = int(caught.value.message.split("cut off: ")[1].split(" ")[0].replace(",", ""))
    assert len(whole) - 32 <= end + missing <= len(whole)  # the last tensor's padding isn't missed
    assert caught.value.reference == "truncated-gguf"


@pytest.mark.parametrize("n_bytes", [4, 7, 23, 200, 9_000, 30_000])
def test_header_cut_off(n_bytes: int, tmp_path: Path) -> None:
    path = tmp_path / "cut.gguf"
    path.write_bytes(MODEL.read_bytes()[:n_bytes])
    with pytest.raises(GgufError, match=r"cut off|claims") as caught:
        read_gguf(path)
    assert caught.value.exit_code == 65


def test_refuses_damage_that_llama_cpp_refuses(tmp_path: Path) -> None:
    def refused(sample: Sample, words: str) -> None:
        with pytest.raises(GgufError, match=words):
            read_gguf(sample.write(tmp_path / "x.gguf"))

    for dims, kind, words in (
        ([33, 2], "Q8_0", "can't be Q8_0"),
        ([0, 2], "F32", "can't be F32"),
        ([1] * 5, "F32", "5 dimensions"),
    ):
        sample = nano_model()
        sample.tensors["extra"] = (dims, kind)
        refused(sample, words)
    sample = nano_model()
    sample.tensors["n" * 64] = ([2], "F32")
    refused(sample, "name has 64 bytes")
    sample = nano_model()
    sample.values["general.alignment"] = (ValueType.UINT32, 48)
    refused(sample, "not a power of two")
    sample = nano_model()
    sample.values["general.alignment"] = (ValueType.UINT64, 32)
    refused(sample, "not a 32-bit")


def test_refuses_repeated_names(tmp_path: Path) -> None:
    data = nano_model().to_bytes()
    path = tmp_path / "x.gguf"
    path.write_bytes(data.replace(b"blk.1.attn_q.weight", b"blk.0.attn_q.weight"))
    with pytest.raises(GgufError, match="twice"):
        read_gguf(path)
    path.write_bytes(data.replace(b"general.type", b"general.name"))
    with pytest.raises(GgufError, match="repeated key"):
        read_gguf(path)


def test_overlapping_tensors_are_refused(tmp_path: Path) -> None:
    data = bytearray(nano_model().to_bytes())
    at = data.index(b"output_norm.weight") + len("output_norm.weight") + 4 + 8 + 4
    data[at : at + 8] = struct.pack("<Q", 0)
    path = tmp_path / "x.gguf"
    path.write_bytes(data)
    with pytest.raises(GgufError, match=r"'output_norm.weight' starts at 0 instead of"):
        read_gguf(path)


def test_absurd_counts_are_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 1 << 60, 1 << 62) + bytes(100))
    with pytest.raises(GgufError, match=r"claims 1,152,921,504,606,846,976 tensors"):
        read_gguf(path)


def test_a_long_array_that_isnt_there_takes_no_memory(tmp_path: Path) -> None:
    key = b"tokenizer.ggml.tokens"
    array = struct.pack("<QQ", 0, 1) + struct.pack("<Q", len(key)) + key
    for element_type in (ValueType.STRING, ValueType.UINT8):
        path = tmp_path / "x.gguf"
        claim = struct.pack("<IIQ", ValueType.ARRAY, element_type, 1 << 50)
        path.write_bytes(b"GGUF" + struct.pack("<I", 3) + array + claim + bytes(2000))
        tracemalloc.start()
        with pytest.raises(GgufError, match="doesn't end within"):
            read_gguf(path)
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak_bytes < 1 << 20


def test_no_such_file(tmp_path: Path) -> None:
    for path in (tmp_path / "none.gguf", tmp_path, tmp_path / "a\0b.gguf"):
        with pytest.raises(InputNotFoundError) as caught:
            read_gguf(path)
        assert caught.value.reference == "no-such-model"


# split files


def split_nano(folder: Path) -> list[Path]:
    """nano in three parts, as gguf-split makes them: the metadata in the first."""
    whole = nano_model()
    names = list(whole.tensors)
    paths = []
    for i in range(3):
        part = Sample(values=dict(whole.values) if i == 0 else {})
        part.tensors = {name: whole.tensors[name] for name in names[i::3]}
        part.values["split.no"] = (ValueType.UINT16, i)
        part.values["split.count"] = (ValueType.UINT16, 3)
        part.values["split.tensors.count"] = (ValueType.INT32, len(names))
        paths.append(part.write(folder / f"nano-0000{i + 1}-of-00003.gguf"))
    return paths


def test_any_part_stands_for_all(tmp_path: Path) -> None:
    paths = split_nano(tmp_path)
    whole = read_gguf(MODEL)
    for path in paths:
        gguf = read_gguf(path)
        assert gguf.path == paths[0]
        assert gguf.parts == tuple(paths)
        assert gguf.tensors.keys() == whole.tensors.keys()
        assert gguf.architecture == "qwen2vl"


def test_missing_parts_are_named(tmp_path: Path) -> None:
    paths = split_nano(tmp_path)
    paths[1].unlink()
    with pytest.raises(GgufError, match=r"not in its folder: nano-00002-of-00003\.gguf") as caught:
        read_gguf(paths[2])
    assert caught.value.reference == "missing-part"


def test_a_renamed_part_is_refused(tmp_path: Path) -> None:
    paths = split_nano(tmp_path)
    renamed = paths[0].rename(tmp_path / "nano.gguf")
    with pytest.raises(GgufError, match="isn't named as one"):
        read_gguf(renamed)


def test_parts_in_the_wrong_order_are_refused(tmp_path: Path) -> None:
    paths = split_nano(tmp_path)
    second = paths[1].read_bytes()
    paths[1].write_bytes(paths[2].read_bytes())
    paths[2].write_bytes(second)
    with pytest.raises(GgufError, match="is not part 2 of 3"):
        read_gguf(paths[0])


@pytest.mark.parametrize(
    ("name", "slices"),
    [
        ("q.Q6_K.gguf.part1of2", ["q.Q6_K.gguf.part1of2", "q.Q6_K.gguf.part2of2"]),
        ("q.Q6_K.gguf.b", ["q.Q6_K.gguf.a", "q.Q6_K.gguf.b"]),
    ],
)
def test_a_raw_slice_gets_the_command_that_joins_it(
    name: str, slices: list[str], tmp_path: Path
) -> None:
    with pytest.raises(GgufError, match=r"one slice of q\.Q6_K\.gguf") as caught:
        read_gguf(tmp_path / name)
    hint = caught.value.hint or ""
    joined = " ".join(f'"{tmp_path / each}"' for each in slices)
    assert f'cat {joined} > "{tmp_path / "q.Q6_K.gguf"}"' in hint


# mutations


def mutate(data: bytearray, header: int, rng: random.Random) -> bytearray:
    """One of: cut off; bits flipped; a stretch overwritten; a number made huge; a type changed."""
    match rng.randrange(5):
        case 0:
            return data[: rng.randrange(len(data))]
        case 1:
            for _ in range(rng.randint(1, 20)):
                data[rng.randrange(header)] ^= 1 << rng.randrange(8)
        case 2:
            at = rng.randrange(header)
            data[at : at + 16] = rng.randbytes(16)
        case 3:
            at = rng.randrange(4, header)
            data[at : at + 8] = struct.pack("<Q", rng.choice([0, 1 << 31, 1 << 63, 2**64 - 1]))
        case 4:
            at = rng.randrange(4, header)
            data[at : at + 4] = struct.pack("<I", rng.randrange(50))
    return data


@pytest.mark.parametrize("path", [MODEL, MMPROJ])
def test_mutations_give_a_file_or_a_gguf_error(path: Path, tmp_path: Path) -> None:
    whole = path.read_bytes()
    header = len(whole) - read_gguf(path).weight_bytes
    sound = {MODEL: read_gguf(MODEL), MMPROJ: read_gguf(MMPROJ)}
    rng = random.Random(20240)
    outcomes = {"file": 0, "error": 0}
    for i in range(200):
        target = tmp_path / f"{i}.gguf"
        target.write_bytes(mutate(bytearray(whole), header, rng))
        try:
            gguf = read_gguf(target)
            outcomes["file"] += 1
            assert isinstance(gguf, GgufFile)
            pair = (gguf, sound[MMPROJ]) if path == MODEL else (sound[MODEL], gguf)
            check_pair(*pair)
        except GgufError as error:
            outcomes["error"] += 1
            assert error.message
            assert error.hint
        target.unlink()
    assert outcomes["error"] > 100
    assert outcomes["file"] > 10
