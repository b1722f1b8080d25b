"""The folder of kept results: whole entries or none, whoever else writes, dies or damages."""

import os
import struct
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qvq_cli.engine.cache_store import CacheStore

ROOM = 1 << 20
KEY = "ab" * 32
NOTES = {"model": "nano Q8_0", "image_tokens": [150]}
fixture_is_fine = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def keep(store: CacheStore, key: str, data: bytes) -> bool:
    return store.save("prompt", key, NOTES, memoryview(data))


def found(store: CacheStore, key: str) -> bytes | None:
    kept = store.find("prompt", key)
    return None if kept is None else bytes(kept.payload)


def age(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@fixture_is_fine
@given(st.binary(max_size=2000))
def test_what_was_kept_is_found(tmp_path: Path, data: bytes) -> None:
    store = CacheStore(tmp_path / "cache", ROOM)
    assert keep(store, KEY, data)
    kept = store.find("prompt", KEY)
    assert kept is not None
    assert kept.notes == NOTES
    assert bytes(kept.payload) == data
    assert store.find("picture", KEY) is None
    assert found(store, "cd" * 32) is None


@fixture_is_fine
@given(st.data())
def test_a_damaged_head_is_no_entry_or_one_that_can_be_shown(
    tmp_path: Path, choose: st.DataObject
) -> None:
    """One bit anywhere before the payload."""
    store = CacheStore(tmp_path, ROOM)
    keep(store, KEY, b"payload")
    data = bytearray(store.path("prompt", KEY).read_bytes())
    at = choose.draw(st.integers(0, len(data) - len(b"payload") - 1))
    data[at] ^= 1 << choose.draw(st.integers(0, 7))
    store.path("prompt", KEY).write_bytes(data)
    for entry in store.entries():
        assert isinstance(entry.model, str)
        assert sum(entry.image_tokens) >= 0


@pytest.mark.parametrize("notes", [b"[]", b"{}", b"1", b"[" * 100_000, b"\xff"])
def test_notes_of_another_form_are_no_entry(tmp_path: Path, notes: bytes) -> None:
    head = struct.pack("<8sIQI", b"qvqkept1", len(notes), 0, zlib.crc32(notes))
    (tmp_path / "a.prompt").write_bytes(head + notes)
    assert CacheStore(tmp_path, ROOM).entries() == []


@fixture_is_fine
@given(st.binary(min_size=1, max_size=300), st.data())
def test_a_damaged_entry_is_a_miss_and_goes(
    tmp_path: Path, data: bytes, choose: st.DataObject
) -> None:
    """One bit anywhere, or a cut anywhere."""
    store = CacheStore(tmp_path, ROOM)
    keep(store, KEY, data)
    path = store.path("prompt", KEY)
    whole = bytearray(path.read_bytes())
    at = choose.draw(st.integers(0, len(whole) - 1))
    if choose.draw(st.booleans()):
        whole[at] ^= 1 << choose.draw(st.integers(0, 7))
        path.write_bytes(whole)
    else:
        path.write_bytes(whole[:at])
    assert found(store, KEY) is None
    assert not path.exists()
    assert store.entries() == []


def test_only_its_owner_can_read_it(tmp_path: Path) -> None:
    store = CacheStore(tmp_path / "cache", ROOM)
    keep(store, KEY, b"secret")
    if sys.platform != "win32":
        assert store.path("prompt", KEY).stat().st_mode & 0o777 == 0o600
        assert (tmp_path / "cache").stat().st_mode & 0o777 == 0o700


def test_the_least_recently_used_go_first(tmp_path: Path) -> None:
    store = CacheStore(tmp_path, 1000)
    for i, key in enumerate(("old", "used", "new")):
        keep(store, key, bytes(250))
        age(store.path("prompt", key), 100 - i)
    assert found(store, "used") is not None  # now it is the youngest
    assert found(store, "old") is not None
    age(store.path("prompt", "old"), 50)
    keep(store, "newest", bytes(400))
    assert [entry.path.stem for entry in store.entries()] == ["newest", "used"]


def test_an_entry_over_the_limit_is_not_written(tmp_path: Path) -> None:
    store = CacheStore(tmp_path, 1000)
    keep(store, "small", bytes(100))
    assert not keep(store, "large", bytes(1000))
    assert names(tmp_path) == {"small.prompt"}


def test_a_smaller_limit_is_kept_by_the_next_write(tmp_path: Path) -> None:
    for i in range(5):
        keep(CacheStore(tmp_path, ROOM), f"k{i}", bytes(500))
    keep(CacheStore(tmp_path, 1200), "last", bytes(500))
    assert "last.prompt" in names(tmp_path)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 1200


def test_what_killed_runs_left_is_cleared_once_it_is_old(tmp_path: Path) -> None:
    stale, fresh, foreign = (tmp_path / name for name in ("a.tmp", "b.tmp", "notes.txt"))
    for path in (stale, fresh, foreign):
        path.write_bytes(b"half")
    age(stale, 3600)
    age(foreign, 3600)
    keep(CacheStore(tmp_path, ROOM), KEY, b"x")
    assert names(tmp_path) == {"b.tmp", "notes.txt", f"{KEY}.prompt"}


def test_clearing_leaves_what_is_not_its_own(tmp_path: Path) -> None:
    store = CacheStore(tmp_path, ROOM)
    keep(store, KEY, bytes(500))
    (tmp_path / "half.tmp").write_bytes(bytes(100))
    (tmp_path / "notes.txt").write_text("mine")
    assert store.clear().freed_bytes > 600
    assert names(tmp_path) == {"notes.txt"}


@pytest.mark.parametrize("is_there", [True, False])
def test_a_place_that_can_not_be_written_keeps_nothing(tmp_path: Path, is_there: bool) -> None:
    """A file where the folder should be, and a folder below a file: root is stopped by both."""
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    store = CacheStore(blocked if is_there else blocked / "cache", ROOM)
    assert not keep(store, KEY, b"x")
    assert found(store, KEY) is None
    assert store.entries() == []
    assert store.clear().freed_bytes == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is full")
def test_a_full_disk_leaves_nothing_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The temporary file is one that takes no byte: the write fails as on a full disk."""

    def on_a_full_disk(suffix: str, prefix: str, folder: Path) -> tuple[int, str]:
        name = folder / f"{prefix}x{suffix}"
        name.touch()
        return os.open("/dev/full", os.O_WRONLY), str(name)

    monkeypatch.setattr("qvq_cli.engine.cache_store.tempfile.mkstemp", on_a_full_disk)
    assert not keep(CacheStore(tmp_path, ROOM), KEY, bytes(5000))
    assert names(tmp_path) == set()


def test_runs_at_once_share_a_folder(tmp_path: Path) -> None:
    """Eight writers and readers on three keys in a folder that is always too full."""
    wrong: list[bytes] = []

    def work(seed: int) -> None:
        store = CacheStore(tmp_path, 3000)
        for i in range(40):
            key = f"k{(seed + i) % 3}"
            keep(store, key, key.encode() * 500)
            data = found(store, key)
            if data not in (None, key.encode() * 500):
                wrong.append(data or b"")

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert not [name for name in names(tmp_path) if name.endswith(".tmp")]
    assert sum(entry.n_bytes for entry in CacheStore(tmp_path, 3000).entries()) <= 3000


def test_a_run_killed_while_writing_leaves_no_entry(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib, qvq_cli.engine.cache_store as c\n"
        "c._PIECE_BYTES = 1 << 12\n"
        "store = c.CacheStore(pathlib.Path(sys.argv[1]), 1 << 30)\n"
        "print('go', flush=True)\n"
        "store.save('prompt', 'k', {}, memoryview(bytes(400 << 20)))\n"
    )
    writer = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == "go\n"
    while not list(tmp_path.glob("*.tmp")):
        time.sleep(0.001)
    writer.kill()
    writer.wait()
    writer.stdout.close()
    store = CacheStore(tmp_path, ROOM)
    assert found(store, "k") is None
    assert store.entries() == []
    (left,) = tmp_path.iterdir()
    age(left, 3600)
    keep(store, KEY, b"x")
    assert names(tmp_path) == {f"{KEY}.prompt"}
