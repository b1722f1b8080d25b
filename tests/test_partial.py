"""A file that is arriving: nothing is forgotten, nothing is believed that isn't there."""

from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvq_cli.hub import partial
from qvq_cli.hub.partial import Partial

SIZES = (250, 130)
CONTENT = bytes(i * 7 % 251 for i in range(sum(SIZES)))


@pytest.fixture(autouse=True)
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments 0..100, 100..200, 200..250 of the first source, 250..350, 350..380 of the second."""
    monkeypatch.setattr(partial, "_SEGMENT_BYTES", 100)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "x.incomplete"


def test_it_has_its_full_size_from_the_start(path: Path) -> None:
    file = Partial(path, SIZES)
    assert path.stat().st_size == 380
    assert [segment.end for segment in file.segments] == [100, 200, 250, 350, 380]
    assert Partial.bytes_on_disk(path, SIZES) == (0, 0)
    file.close()


def test_a_second_run_goes_on_where_the_first_was_killed(path: Path) -> None:
    first = Partial(path, SIZES)
    first.store(0, CONTENT[:60])
    first.store(100, CONTENT[100:130])
    first.store(250, CONTENT[250:380])
    # No close: the process was killed.
    assert Partial.bytes_on_disk(path, SIZES) == (90, 130)
    assert Partial.start_on_disk(path, SIZES) == 60
    second = Partial(path, SIZES)
    assert [second.next_byte(i) for i in range(5)] == [60, 130, 200, 350, 380]
    assert (second.frontier(0), second.frontier(1)) == (60, 380)
    second.store(60, CONTENT[60:100])
    assert second.frontier(0) == 130
    second.store(130, CONTENT[130:250])
    second.finish(path.with_name("x"))
    assert path.with_name("x").read_bytes() == CONTENT
    assert [each.name for each in path.parent.iterdir()] == ["x"]
    first.close()


def test_bytes_behind_a_hole_are_dropped(path: Path) -> None:
    file = Partial(path, SIZES)
    file.store(10, CONTENT[10:150])
    assert (file.next_byte(0), file.next_byte(1)) == (0, 150)
    file.close()


def test_wrong_bytes_of_a_source_are_forgotten_and_the_others_stay(path: Path) -> None:
    file = Partial(path, SIZES)
    file.store(0, CONTENT)
    file.reset(0)
    assert (file.done_bytes(0), file.done_bytes(1)) == (0, 130)
    file.close()
    assert Partial.bytes_on_disk(path, SIZES) == (0, 130)


def test_what_this_run_brought_is_forgotten_and_what_was_found_stays(path: Path) -> None:
    with closing(Partial(path, SIZES)) as first:
        first.store(0, CONTENT[:60])
    with closing(Partial(path, SIZES)) as second:
        second.store(60, CONTENT[60:150])
        second.store(250, CONTENT[250:])
        second.forget_new(0)
        assert (second.done_bytes(0), second.done_bytes(1)) == (60, 130)
    assert Partial.bytes_on_disk(path, SIZES) == (60, 130)


def test_nothing_is_stored_after_close(path: Path) -> None:
    file = Partial(path, SIZES)
    file.close()
    file.store(0, CONTENT)
    assert Partial.bytes_on_disk(path, SIZES) == (0, 0)


@pytest.mark.parametrize("damage", ["no journal", "short journal", "huge count", "short file"])
def test_what_doesnt_match_its_journal_starts_anew(path: Path, damage: str) -> None:
    file = Partial(path, SIZES)
    file.store(0, CONTENT[:60])
    file.close()
    journal = path.with_name("x.incomplete.journal")
    if damage == "no journal":
        journal.unlink()
    elif damage == "short journal":
        journal.write_bytes(journal.read_bytes()[:-8])
    elif damage == "huge count":
        journal.write_bytes(b"\xff" * 40)
    else:
        path.write_bytes(CONTENT[:60])
    assert Partial.bytes_on_disk(path, SIZES) == (0, 0)
    again = Partial(path, SIZES)
    assert (again.next_byte(0), path.stat().st_size) == (0, 380)
    again.close()


@given(st.data())
def test_any_order_of_pieces_gives_the_file(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("any") / "x.incomplete"
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        patch.setattr(partial, "_SEGMENT_BYTES", 100)
        file = stack.enter_context(closing(Partial(path, SIZES)))
        for _ in range(data.draw(st.integers(0, 12))):
            start = data.draw(st.integers(0, 379))
            file.store(start, CONTENT[start : data.draw(st.integers(start, 380))])
            done = sum(file.done_bytes(i) for i in range(2))
            assert sum(Partial.bytes_on_disk(path, SIZES)) == done
        for i, segment in enumerate(file.segments):
            at = file.next_byte(i)
            assert path.read_bytes()[segment.start : at] == CONTENT[segment.start : at]
            file.store(at, CONTENT[at : segment.end])
        file.finish(path.with_name("x"))
    assert path.with_name("x").read_bytes() == CONTENT
