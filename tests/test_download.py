"""Pulls from a Hub on this machine: what is fetched, what goes wrong, and what is left then."""

import errno
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub import constants

from conftest import NANO
from fake_hub import (
    Cut,
    FakeHub,
    Hang,
    HubFile,
    NewCommit,
    Page,
    Status,
    Truncated,
    WholeFile,
    Wrong,
)
from fake_hub_faults import Where
from gguf_samples import nano_mmproj, nano_model, qwen3vl_mmproj
from qvq_cli.errors import (
    CannotWriteError,
    ConfigError,
    DataError,
    DeniedError,
    DoesNotFitError,
    GgufError,
    QvqError,
    TransferError,
    UnavailableError,
    UnreachableError,
    UsageError,
)
from qvq_cli.hub import partial, remote, transfer
from qvq_cli.hub.config import config_path
from qvq_cli.hub.download import FileProgress, PullPlan, plan_pull, pull
from qvq_cli.hub.ggml_types import ValueType
from qvq_cli.hub.hf_cache import cache_dir
from qvq_cli.hub.manifest import Installed, data_dir, read_manifest
from qvq_cli.hub.partial import Partial

REPO = "me/My-VL-GGUF"
MODEL = (NANO / "nano-q8_0.gguf").read_bytes()
MMPROJ = (NANO / "mmproj-nano-q8_0.gguf").read_bytes()
N_BYTES = len(MODEL) + len(MMPROJ)
PAIR = {"My-VL-Q8_0.gguf": MODEL, "mmproj-My-VL-f16.gguf": MMPROJ, "README.md": b"hello"}


IN_FLIGHT_BYTES = 1 << 17


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "_RETRY_WAITS_S", (0.0,) * 3)
    monkeypatch.setattr(remote, "_RETRY_WAITS_S", (0.0, 0.0))
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.5)
    monkeypatch.setattr(constants, "HF_HUB_ETAG_TIMEOUT", 0.5)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    with FakeHub({REPO: PAIR}, gated=["me/gated"], private=["me/private"]) as hub:
        hub.commit("me/gated", PAIR)
        hub.commit("me/private", PAIR)
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        yield hub


def plan_of(model: str = f"hf:{REPO}", *, to: Path | None = None, quant: str = "") -> PullPlan:
    return plan_pull(model, quant=quant or None, to=to, free_bytes=8 * 10**9)


def quiet(progress: tuple[FileProgress, ...]) -> None:
    assert all(each.done_bytes <= each.file.n_bytes for each in progress)


def get(model: str = f"hf:{REPO}", *, to: Path | None = None) -> Installed:
    return pull(plan_of(model, to=to), quiet)


def write_entry(name: str, text: str) -> None:
    """An entry of the user's own in the catalog."""
    folder = config_path(os.environ).parent / "catalog"
    folder.mkdir(parents=True, exist_ok=True)
    head = f'name = "{name}"\ntitle = "My VL"\nkv_bytes_per_token = 4096\ndefault_quant = "Q8_0"\n'
    (folder / f"{name}.toml").write_text(head + text, "utf-8")


def unfinished() -> list[Path]:
    return list(cache_dir().rglob("*.qvq.incomplete*"))


# what arrives


def test_a_pair_arrives_verified_where_other_tools_find_it(hub: FakeHub) -> None:
    seen: list[tuple[FileProgress, ...]] = []
    plan = plan_of()
    assert (plan.missing_bytes, plan.is_complete) == (N_BYTES, False)
    model = pull(plan, seen.append)
    assert model.model_id == f"hf:{REPO}:Q8_0"
    assert (model.model_path.read_bytes(), model.mmproj_path.read_bytes()) == (MODEL, MMPROJ)
    assert model.problem is None
    assert [each.state for each in seen[-1]] == ["done", "done"]
    assert sum(each.done_bytes for each in seen[-1]) == N_BYTES
    assert hub.n_sent() == N_BYTES
    assert unfinished() == []
    found = huggingface_hub.hf_hub_download(
        REPO, "My-VL-Q8_0.gguf", cache_dir=cache_dir(), local_files_only=True
    )
    assert Path(found).read_bytes() == MODEL
    scan = huggingface_hub.scan_cache_dir(cache_dir())
    assert (scan.warnings, scan.size_on_disk) == ([], N_BYTES)


def test_a_second_pull_fetches_nothing(hub: FakeHub) -> None:
    get()
    assert plan_of().is_complete
    n_sent = hub.n_sent()
    get()
    assert hub.n_sent() == n_sent


def test_what_another_tool_fetched_is_verified_not_fetched(hub: FakeHub) -> None:
    commit = hub.revision(REPO)
    for name in ("My-VL-Q8_0.gguf", "mmproj-My-VL-f16.gguf"):
        blob = (
            cache_dir() / "models--me--My-VL-GGUF" / "blobs" / HubFile(PAIR[name]).hashed().sha256
        )
        pointer = blob.parents[1] / "snapshots" / commit / name
        pointer.parent.mkdir(parents=True, exist_ok=True)
        blob.parent.mkdir(exist_ok=True)
        blob.write_bytes(PAIR[name])
        pointer.symlink_to(blob)
    plan = plan_of()
    assert plan.missing_bytes == 0
    assert not plan.is_complete
    assert pull(plan, quiet).problem is None
    assert hub.n_sent() <= 2 * (256 << 10)  # a look at the headers


def test_a_broken_file_of_another_tool_is_fetched_again(hub: FakeHub) -> None:
    blob = get().model_path.resolve()
    shutil.rmtree(data_dir())
    blob.write_bytes(b"x" + MODEL[1:])
    n_sent = hub.n_sent()
    assert get().model_path.read_bytes() == MODEL
    assert len(MODEL) <= hub.n_sent() - n_sent <= len(MODEL) + (256 << 10)


@pytest.mark.usefixtures("hub")
def test_plain_files_in_a_folder(tmp_path: Path) -> None:
    model = get(to=tmp_path / "to")
    there = sorted(path.name for path in (tmp_path / "to").iterdir())
    assert there == ["My-VL-Q8_0.gguf", "mmproj-My-VL-f16.gguf"]
    assert model.model_path == tmp_path / "to" / "My-VL-Q8_0.gguf"
    assert not cache_dir().exists()


@pytest.mark.usefixtures("hub")
def test_another_file_in_the_way_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "My-VL-Q8_0.gguf").write_text("mine")
    with pytest.raises(CannotWriteError, match="is there already"):
        get(to=tmp_path)
    assert (tmp_path / "My-VL-Q8_0.gguf").read_text() == "mine"


def test_large_files_come_over_several_connections(
    hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partial, "_SEGMENT_BYTES", 1 << 20)
    assert get().model_path.read_bytes() == MODEL
    starts = {entry.start for entry in hub.requests("cdn", "My*")}
    assert len(starts) >= 7
    assert hub.n_sent() == N_BYTES


def test_several_connections_to_a_server_without_ranges(
    hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partial, "_SEGMENT_BYTES", 1 << 20)
    hub.fail(WholeFile(), where="cdn")
    assert get().model_path.read_bytes() == MODEL


def test_parts_of_gguf_split(hub: FakeHub) -> None:
    sample = nano_model()
    names = list(sample.tensors)
    parts = {}
    for i, chosen in enumerate((names[:9], names[9:])):
        part = nano_model()
        part.tensors = {name: sample.tensors[name] for name in chosen}
        part.values["split.no"] = (ValueType.UINT16, i)
        part.values["split.count"] = (ValueType.UINT16, 2)
        part.values["split.tensors.count"] = (ValueType.INT32, len(names))
        parts[f"Q8_0/My-VL-Q8_0-{i + 1:05}-of-00002.gguf"] = part.to_bytes()
    hub.commit("me/split", {**parts, "mmproj-f16.gguf": MMPROJ})
    model = get("hf:me/split")
    assert [file.role for file in model.files] == ["model", "model", "mmproj"]
    assert model.model_path.name == "My-VL-Q8_0-00001-of-00002.gguf"


def test_slices_are_joined_as_they_arrive(hub: FakeHub) -> None:
    hub.commit(
        "me/cut",
        {
            "My-VL.Q8_0.gguf.part1of2": MODEL[:3_000_000],
            "My-VL.Q8_0.gguf.part2of2": MODEL[3_000_000:],
            "mmproj.gguf": MMPROJ,
        },
    )
    model = get("hf:me/cut")
    assert model.model_path.name == "My-VL.Q8_0.gguf"
    assert model.model_path.read_bytes() == MODEL
    on_disk = [path for path in data_dir().rglob("*") if path.stat().st_size > 2_000_000]
    assert on_disk == [model.model_path]
    n_sent = hub.n_sent()
    get("hf:me/cut")
    assert hub.n_sent() == n_sent


def test_an_mmproj_without_the_name_is_found_by_its_metadata(hub: FakeHub) -> None:
    files = {"My-VL-Q8_0.gguf": MODEL, "vision-part.gguf": MMPROJ, "notes.gguf.txt": b"x"}
    hub.commit("me/unnamed", files)
    assert get("hf:me/unnamed").mmproj_path.name == "vision-part.gguf"


def test_of_several_mmprojs_the_one_that_fits(hub: FakeHub) -> None:
    other = qwen3vl_mmproj(0).to_bytes()
    hub.commit("me/many", {**PAIR, "mmproj-My-VL-Q8_0-f16.gguf": other})
    assert plan_of("hf:me/many").files[-1].name == "mmproj-My-VL-f16.gguf"


def test_an_mmproj_of_another_model_is_refused_before_the_model_moves(hub: FakeHub) -> None:
    hub.commit("me/foreign", {"x-Q8_0.gguf": MODEL, "mmproj.gguf": qwen3vl_mmproj(0).to_bytes()})
    with pytest.raises(GgufError, match="mmproj of another model"):
        plan_of("hf:me/foreign")
    assert hub.n_sent("x-Q8_0.gguf") < len(MODEL) // 4


def test_a_repository_without_mmproj_borrows_the_catalogs(hub: FakeHub) -> None:
    sample = nano_model()
    sample.values["general.name"] = (ValueType.STRING, "My VL")
    hub.commit("me/quants-i1-GGUF", {"My-VL.i1-Q4_K_M.gguf": sample.to_bytes()})
    with pytest.raises(UnavailableError, match="has no mmproj"):
        plan_of("hf:me/quants-i1-GGUF")
    write_entry(
        "my-vl",
        f'repo = "{REPO}"\n[profile]\ndialect = "plain"\n[mmproj]\nname = "mmproj-My-VL-f16.gguf"\n'
        '[[quants.Q8_0]]\nname = "My-VL-Q8_0.gguf"\n',
    )
    model = get("hf:me/quants-i1-GGUF")
    assert (model.quant, model.mmproj_path.name) == ("Q4_K_M", "mmproj-My-VL-f16.gguf")


def test_files_outside_lfs_are_checked_by_gits_sha1(hub: FakeHub) -> None:
    small = nano_mmproj().to_bytes()
    hub.commit("me/small", {"a-Q8_0.gguf": MODEL, "mmproj.gguf": HubFile(small, is_lfs=False)})
    assert get("hf:me/small").mmproj_path.read_bytes() == small


# which quant


@pytest.mark.usefixtures("hub")
def test_a_quant_in_either_place_but_not_two() -> None:
    assert plan_of(f"hf:{REPO}:q8_0").quant == "Q8_0"
    assert plan_of(quant="q8_0").quant == "Q8_0"
    with pytest.raises(UsageError, match="says Q8_0, --quant says Q4_0"):
        plan_of(f"hf:{REPO}:Q8_0", quant="Q4_0")
    with pytest.raises(UnavailableError, match="no GGUF of quant Q4_0; it has Q8_0"):
        plan_of(quant="Q4_0")


def test_the_largest_quant_that_fits_and_none(hub: FakeHub) -> None:
    hub.commit("me/two", {**PAIR, "My-VL-Q4_0.gguf": MODEL[:-64]})
    assert plan_of("hf:me/two").quant == "Q8_0"
    with pytest.raises(DoesNotFitError, match=r"Q4_0, needs about 1\.0 GB"):
        plan_pull("hf:me/two", free_bytes=10**8)


@pytest.mark.parametrize(
    ("model", "kind"), [("nano", UsageError), ("hf:x", UsageError), ("qvp-72b", UnavailableError)]
)
def test_names_that_mean_nothing_to_pull(model: str, kind: type[QvqError]) -> None:
    with pytest.raises(kind):
        plan_of(model)


def entry_of(sha256: str = "") -> str:
    known = f'sha256 = "{sha256}"\n' if sha256 else ""
    return (
        f'repo = "{REPO}"\n[profile]\ndialect = "heading"\n[mmproj]\nrepo = "me/eyes"\n'
        f'name = "mmproj.gguf"\n[[quants.Q8_0]]\nname = "folder/My-VL-Q8_0.gguf"\n{known}'
    )


def test_an_entry_with_its_mmproj_elsewhere(hub: FakeHub) -> None:
    hub.commit("me/eyes", {"mmproj.gguf": MMPROJ})
    write_entry("my-vl", entry_of(HubFile(MODEL).hashed().sha256))
    plan = plan_of("my-vl:Q8_0")
    assert [(file.repo, file.role) for file in plan.files] == [
        (REPO, "model"),
        ("me/eyes", "mmproj"),
    ]
    assert pull(plan, quiet).model_id == "my-vl:Q8_0"


def test_a_file_that_isnt_the_catalogs_is_refused(hub: FakeHub) -> None:
    hub.commit("me/eyes", {"mmproj.gguf": MMPROJ})
    write_entry("my-vl", entry_of("ab" * 32))
    with pytest.raises(DataError, match="not the file that the catalog knows"):
        plan_of("my-vl:Q8_0")


def test_a_pinned_revision_is_what_arrives(hub: FakeHub) -> None:
    hub.commit("me/eyes", {"mmproj.gguf": MMPROJ})
    pinned = hub.revision(REPO)
    hub.commit(REPO, {**PAIR, "My-VL-Q8_0.gguf": MMPROJ})
    write_entry("my-vl", f'revision = "{pinned}"\n' + entry_of())
    assert pull(plan_of("my-vl:Q8_0"), quiet).commit == pinned
    write_entry("my-vl2", 'revision = "c0ffee"\n' + entry_of())
    with pytest.raises(UnavailableError, match="no longer on the Hub"):
        plan_of("my-vl2:Q8_0")


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"hello" * 9000, "is not a GGUF file"), (MODEL[:9000], "its header doesn't end")],
)
def test_what_is_no_gguf_on_the_hub(hub: FakeHub, content: bytes, message: str) -> None:
    hub.commit("me/odd", {**PAIR, "My-VL-Q8_0.gguf": content})
    with pytest.raises(GgufError, match=message):
        plan_of("hf:me/odd")


@pytest.mark.usefixtures("hub")
def test_every_wrong_file_is_forgotten_at_once() -> None:
    plan = plan_of()
    for target in plan.targets:
        unfinished_file = Partial(target.part_path, target.sizes)
        unfinished_file.store(0, bytes(target.n_bytes))
        unfinished_file.close()
    with pytest.raises(DataError, match="wrong bytes"):
        pull(plan, quiet)
    assert [Partial.bytes_on_disk(each.part_path, each.sizes) for each in plan.targets] == [
        (0,),
        (0,),
    ]
    assert get().problem is None


def test_a_name_that_leads_out_of_the_folder(hub: FakeHub) -> None:
    hub.commit("me/evil", {**PAIR, "../../x-Q4_0.gguf": MODEL})
    with pytest.raises(DataError, match="which no folder here may have"):
        plan_of("hf:me/evil")


# what goes wrong


FAULTS: list[tuple[Callable[[FakeHub], None], type[QvqError], str]] = [
    (lambda hub: hub.fail(Cut(0), where="cdn"), TransferError, "transfer-broken"),
    (lambda hub: hub.fail(Cut(0, is_reset=True), where="cdn"), TransferError, "transfer-broken"),
    (lambda hub: hub.fail(Truncated(4_000_000), where="cdn"), TransferError, "short-file"),
    # One file only: the other would be stopped half way, with wrong bytes that nobody can know yet.
    (
        lambda hub: hub.fail(Wrong(5_000_000), where="cdn", file="My*"),
        DataError,
        "checksum-mismatch",
    ),
    (lambda hub: hub.fail(Status(500)), UnreachableError, "hub-stumbles"),
    (lambda hub: hub.fail(Status(503), where="cdn", skip=2), UnreachableError, "hub-stumbles"),
    (lambda hub: hub.fail(Status(429, retry_after_s=300)), UnreachableError, "rate-limited"),
    (lambda hub: hub.fail(Hang(), where="info"), UnreachableError, "hub-timeout"),
    (lambda hub: hub.fail(Hang(), where="cdn"), UnreachableError, "hub-timeout"),
    (lambda hub: hub.fail(Page()), UnreachableError, "not-a-hub"),
    (lambda hub: hub.fail(Page(), where="cdn"), UnreachableError, "not-a-hub"),
    (lambda hub: hub.fail(Status(403), where="cdn"), UnreachableError, "storage-refuses"),
    (
        lambda hub: hub.fail(Status(404, "EntryNotFound"), where="get"),
        UnavailableError,
        "no-remote-file",
    ),
    (
        lambda hub: hub.fail(Status(404, "RevisionNotFound"), where="get"),
        UnavailableError,
        "no-revision",
    ),
]


@pytest.mark.parametrize(("arrange", "kind", "reference"), FAULTS)
def test_every_fault_has_its_error_and_leaves_nothing_broken(
    hub: FakeHub, arrange: Callable[[FakeHub], None], kind: type[QvqError], reference: str
) -> None:
    arrange(hub)
    with pytest.raises(QvqError) as caught:
        get()
    assert isinstance(caught.value, kind)
    assert caught.value.reference == reference
    assert caught.value.hint
    assert read_manifest().models == ()
    hub.heal()
    model = get()
    assert (model.model_path.read_bytes(), model.mmproj_path.read_bytes()) == (MODEL, MMPROJ)


@pytest.mark.parametrize("at", [300_000, 3_000_000, 6_700_000])
def test_an_interrupted_pull_goes_on_at_the_byte(hub: FakeHub, at: int) -> None:
    hub.fail(Cut(at), where="cdn", file="My*", skip=1, times=1)
    hub.fail(Cut(0), where="cdn", file="My*", skip=2)
    with pytest.raises(TransferError):
        get()
    hub.heal()
    assert get().problem is None
    # The hub counts what it put on the wire; a cut connection loses what was still under way.
    assert N_BYTES <= hub.n_sent() <= N_BYTES + IN_FLIGHT_BYTES


def test_nonsense_in_an_unfinished_file_is_overcome(hub: FakeHub) -> None:
    hub.fail(Cut(2_000_000), where="cdn", file="My*", skip=1, times=1)
    hub.fail(Cut(0), where="cdn", file="My*", skip=2)
    with pytest.raises(TransferError):
        get()
    hub.heal()
    (path,) = (each for each in unfinished() if each.stat().st_size == len(MODEL))
    with path.open("r+b") as file:
        file.write(bytes(1000))
    with pytest.raises(DataError, match="wrong bytes"):
        get()
    assert get().problem is None


def test_connections_that_are_cut_again_and_again_are_enough(hub: FakeHub) -> None:
    hub.fail(Cut(500_000), where="cdn")
    assert get().problem is None
    n_cuts = len(hub.requests("cdn", "*"))
    assert N_BYTES <= hub.n_sent() <= N_BYTES + n_cuts * IN_FLIGHT_BYTES


@pytest.mark.parametrize("where", ["info", "get", "cdn"])
@pytest.mark.parametrize("code", [429, 503])
def test_a_hub_that_is_busy_for_a_moment_is_waited_for(
    hub: FakeHub, code: int, where: Where
) -> None:
    hub.fail(Status(code, retry_after_s=0), where=where, times=2)
    assert get().problem is None


def test_one_hang_is_waited_out(hub: FakeHub) -> None:
    hub.fail(Hang(), where="cdn", times=2)
    assert get().problem is None


def test_a_push_meanwhile_changes_nothing(hub: FakeHub) -> None:
    before = hub.revision(REPO)
    hub.fail(NewCommit({"My-VL-Q8_0.gguf": MMPROJ}), where="get", times=1)
    model = get()
    assert (model.commit, model.model_path.read_bytes()) == (before, MODEL)
    assert hub.revision(REPO) != before


def test_no_hub_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(UnreachableError, match="can't be reached"):
        plan_of()
    monkeypatch.setenv("HF_ENDPOINT", "nonsense")
    with pytest.raises(ConfigError, match="not the address of a Hub"):
        plan_of()


def test_offline_mode_sends_nothing(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UnreachableError, match="HF_HUB_OFFLINE"):
        plan_of()
    assert remote.hub_status().is_offline
    assert hub.log == []


def test_whether_the_hub_is_there(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    assert remote.hub_status() == (hub.endpoint, False, None)
    hub.fail(Status(503))
    assert "in trouble" in (remote.hub_status().problem or "")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    assert "can't be reached" in (remote.hub_status().problem or "")


# who may


@pytest.mark.parametrize("repo", ["me/gated", "me/private"])
def test_closed_repositories_open_with_a_token(
    hub: FakeHub, monkeypatch: pytest.MonkeyPatch, repo: str
) -> None:
    with pytest.raises(DeniedError) as caught:
        get(f"hf:{repo}")
    assert "HF_TOKEN" in (caught.value.hint or "")
    assert f"{hub.endpoint}/{repo}" in (caught.value.hint or "")
    monkeypatch.setenv("HF_TOKEN", "hf_granted")
    assert get(f"hf:{repo}").problem is None
    assert {entry.token for entry in hub.requests("cdn")} == {""}


@pytest.mark.usefixtures("hub")
def test_a_token_of_somebody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_other")
    with pytest.raises(DeniedError, match="your account isn't on its list"):
        get("hf:me/gated")
    with pytest.raises(UnavailableError, match="there is no repository me/private"):
        get("hf:me/private")
    monkeypatch.setenv("HF_TOKEN", "hf_nobody")
    with pytest.raises(DeniedError, match="refuses your token"):
        get()


# the disk


def test_a_full_disk_is_foreseen(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(cache_dir().anchor)._replace(free=10_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    n_sent = hub.n_sent()
    plan = plan_of()
    with pytest.raises(CannotWriteError, match=r"needs 13\.5 MB more .* 10\.0 MB are free"):
        pull(plan, quiet)
    assert hub.n_sent() - n_sent < len(MODEL)


@pytest.mark.usefixtures("hub")
def test_a_disk_that_fills_up_keeps_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Partial.store

    def full(self: Partial, offset: int, piece: bytes) -> None:
        if offset > 2_000_000:
            raise OSError(errno.ENOSPC, "No space left on device")
        store(self, offset, piece)

    monkeypatch.setattr(Partial, "store", full)
    with pytest.raises(CannotWriteError, match="is full") as caught:
        get()
    assert caught.value.reference == "disk-full"
    monkeypatch.setattr(Partial, "store", store)
    assert plan_of().missing_bytes < N_BYTES - 1_000_000
    assert get().problem is None


@pytest.mark.skipif(os.name == "nt", reason="Windows removes no open file")
def test_what_is_removed_meanwhile_is_no_fault_of_the_folder(hub: FakeHub) -> None:
    """As by `qvq rm` of a model that another run is fetching."""
    plan = plan_of()
    hub.bytes_per_s = 5_000_000

    def remove(progress: tuple[FileProgress, ...]) -> None:
        if any(each.state == "downloading" for each in progress):
            for target in plan.targets:
                target.part_path.unlink(missing_ok=True)

    with pytest.raises(TransferError, match="was removed while it was being fetched"):
        pull(plan, remove)
    hub.bytes_per_s = None
    assert get().problem is None


def test_two_pulls_at_once_fetch_it_once(hub: FakeHub) -> None:
    hub.bytes_per_s = 20_000_000
    models: list[Installed] = []
    threads = [threading.Thread(target=lambda: models.append(get())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [model.problem for model in models] == [None, None]
    # Both looked at the headers before either had the lock.
    assert hub.n_sent() < N_BYTES * 1.2
