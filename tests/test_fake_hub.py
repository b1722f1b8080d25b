"""The fake Hub against the real client: a fake that huggingface_hub refuses would prove nothing."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from huggingface_hub import HfApi, hf_hub_download, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.file_download import get_hf_file_metadata, hf_hub_url, http_get

from fake_hub import Cut, FakeHub, Hang, HubFile, NewCommit, Status, Truncated, WholeFile, Wrong

REPO = "owner/model-GGUF"
MODEL = bytes(range(256)) * 400
README = b"# A model\n"


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    files = {"model-Q8_0.gguf": MODEL, "README.md": HubFile(README, is_lfs=False)}
    with FakeHub(
        {REPO: files, "owner/gated": files, "owner/own": files},
        gated=["owner/gated"],
        private=["owner/own"],
    ) as hub:
        yield hub


def download(hub: FakeHub, folder: Path, name: str = "model-Q8_0.gguf", **options: object) -> bytes:
    repo = options.pop("repo", REPO)
    path = hf_hub_download(repo, name, cache_dir=folder, endpoint=hub.endpoint, **options)  # type: ignore[call-overload]
    return Path(path).read_bytes()


def test_the_client_downloads_a_file_and_names_it_by_its_sha256(
    hub: FakeHub, tmp_path: Path
) -> None:
    assert download(hub, tmp_path) == MODEL
    blobs = tmp_path / "models--owner--model-GGUF" / "blobs"
    assert [path.name for path in blobs.iterdir()] == [hashlib.sha256(MODEL).hexdigest()]
    assert hub.n_sent("model-Q8_0.gguf") == len(MODEL)


def test_the_client_downloads_everything(hub: FakeHub, tmp_path: Path) -> None:
    folder = Path(snapshot_download(REPO, cache_dir=tmp_path, endpoint=hub.endpoint))
    assert folder.name == hub.revision(REPO)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        "model-Q8_0.gguf": MODEL,
        "README.md": README,
    }


def test_the_client_reads_sizes_and_hashes(hub: FakeHub) -> None:
    info = HfApi(endpoint=hub.endpoint).model_info(REPO, files_metadata=True)
    files = {file.rfilename: file for file in info.siblings or []}
    assert info.sha == hub.revision(REPO)
    assert files["model-Q8_0.gguf"].lfs is not None
    assert files["model-Q8_0.gguf"].lfs.sha256 == hashlib.sha256(MODEL).hexdigest()
    assert files["README.md"].lfs is None
    assert files["README.md"].size == len(README)


def test_no_token_reaches_the_cdn(hub: FakeHub, tmp_path: Path) -> None:
    assert download(hub, tmp_path, repo="owner/gated", token="hf_granted") == MODEL
    assert {entry.token for entry in hub.requests("head")} == {"hf_granted"}
    assert {entry.token for entry in hub.requests("cdn")} == {""}


@pytest.mark.parametrize(
    ("repo", "name", "options", "error"),
    [
        ("owner/gated", "model-Q8_0.gguf", {}, GatedRepoError),
        ("owner/gated", "model-Q8_0.gguf", {"token": "hf_other"}, GatedRepoError),
        ("owner/own", "model-Q8_0.gguf", {}, RepositoryNotFoundError),
        ("owner/none", "model-Q8_0.gguf", {"token": "hf_other"}, RepositoryNotFoundError),
        (REPO, "none.gguf", {}, RemoteEntryNotFoundError),
        (REPO, "model-Q8_0.gguf", {"revision": "v2"}, RevisionNotFoundError),
    ],
)
def test_the_client_understands_refusals(
    hub: FakeHub, tmp_path: Path, repo: str, name: str, options: dict[str, str], error: type
) -> None:
    with pytest.raises(error):
        download(hub, tmp_path, name, repo=repo, **options)


def test_a_status_is_what_the_client_sees(hub: FakeHub) -> None:
    hub.fail(Status(503), where="info", times=1)
    api = HfApi(endpoint=hub.endpoint)
    with pytest.raises(HfHubHTTPError) as caught:
        api.model_info(REPO)
    assert caught.value.response.status_code == 503
    assert api.model_info(REPO).sha == hub.revision(REPO)


def test_a_wrong_byte_and_a_short_file_arrive_as_such(hub: FakeHub, tmp_path: Path) -> None:
    hub.fail(Wrong(at=300), where="cdn", times=1)
    wrong = download(hub, tmp_path / "wrong")
    assert [i for i in range(len(MODEL)) if wrong[i] != MODEL[i]] == [300]
    hub.fail(Truncated(1000))
    assert download(hub, tmp_path / "short") == MODEL[:1000]


@pytest.mark.parametrize("is_reset", [False, True])
def test_a_cut_connection_is_resumed_at_the_byte(
    hub: FakeHub, tmp_path: Path, is_reset: bool
) -> None:
    url = get_hf_file_metadata(hf_hub_url(REPO, "model-Q8_0.gguf", endpoint=hub.endpoint)).location
    hub.fail(Cut(50_000, is_reset), where="cdn", times=1)
    with (
        (tmp_path / "part").open("wb") as file,
        pytest.raises(httpx2.TransportError),
        httpx2.stream("GET", url) as response,
    ):
        for piece in response.iter_raw():
            file.write(piece)
    n_bytes = (tmp_path / "part").stat().st_size
    assert n_bytes == 50_000
    with (tmp_path / "part").open("ab") as file:
        http_get(url, file, resume_size=n_bytes, expected_size=len(MODEL))
    assert (tmp_path / "part").read_bytes() == MODEL
    assert hub.n_sent() == len(MODEL)
    assert hub.requests("cdn")[-1].start == 50_000


def test_a_server_that_ignores_ranges_sends_it_all(hub: FakeHub, tmp_path: Path) -> None:
    url = get_hf_file_metadata(hf_hub_url(REPO, "model-Q8_0.gguf", endpoint=hub.endpoint)).location
    hub.fail(WholeFile(), where="cdn")
    (tmp_path / "part").write_bytes(MODEL[:100])
    with (tmp_path / "part").open("ab") as file:
        http_get(url, file, resume_size=100, expected_size=len(MODEL))
    assert hub.n_sent() == len(MODEL)


def test_a_hanging_server_meets_the_clients_patience(hub: FakeHub) -> None:
    hub.fail(Hang(), where="info")
    with pytest.raises(httpx2.ReadTimeout):
        HfApi(endpoint=hub.endpoint).model_info(REPO, timeout=0.2)


def test_a_push_between_two_requests_moves_main(hub: FakeHub) -> None:
    old = hub.revision(REPO)
    hub.fail(NewCommit({"model-Q8_0.gguf": b"new"}), where="head", times=1)
    url = hf_hub_url(REPO, "model-Q8_0.gguf", endpoint=hub.endpoint)
    metadata = get_hf_file_metadata(url)
    assert metadata.commit_hash == hub.revision(REPO) != old
    pinned = hf_hub_url(REPO, "model-Q8_0.gguf", revision=old, endpoint=hub.endpoint)
    assert get_hf_file_metadata(pinned).size == len(MODEL)
