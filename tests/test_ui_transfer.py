"""Progress of downloads and checks: what is said, and where it is drawn."""

import io
from collections.abc import Sequence

import pytest

from qvq_cli.ui.streams import Environment
from qvq_cli.ui.transfer import Phase, Transfer, TransferFile
from qvq_cli.ui.transfer_views import PlainTransferView, TransferView, make_transfer_view
from screens import FakeTerminal, wait_until

GB, MB = 10**9, 10**6
MODEL = TransferFile("folder/QVQ-72B-Preview-Q4_K_M.gguf", 40 * GB, 10 * GB)
MMPROJ = TransferFile("mmproj-QVQ-72B-Preview-f16.gguf", 10 * GB)


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def fetching(clock: Clock, files: Sequence[TransferFile] = (MODEL, MMPROJ)) -> Transfer:
    return Transfer(files, Phase.FETCHING, clock)


def test_what_an_earlier_run_left_counts_but_not_as_speed(clock: Clock) -> None:
    transfer = fetching(clock)
    assert transfer.n_done == 10 * GB
    clock.now_s += 10
    transfer.update(MODEL.name, 11 * GB, Phase.FETCHING)
    assert transfer.total_line() == "22 % of 50.0 GB, 100 MB/s, 6 min 30 s left"


def test_no_rate_while_it_would_be_a_guess(clock: Clock) -> None:
    transfer = fetching(clock)
    clock.now_s += 0.5
    transfer.update(MODEL.name, 11 * GB, Phase.FETCHING)
    assert transfer.total_line() == "22 % of 50.0 GB"


def test_the_rate_is_that_of_the_last_seconds(clock: Clock) -> None:
    transfer = fetching(clock)
    n_done = MODEL.n_there
    for mb_per_s in (500, 10):
        for _ in range(60):
            clock.now_s += 1
            n_done += mb_per_s * MB
            transfer.update(MODEL.name, n_done, Phase.FETCHING)
    assert "10.0 MB/s" in transfer.total_line()


def test_a_stall_is_told(clock: Clock) -> None:
    transfer = fetching(clock)
    for _ in range(40):
        clock.now_s += 1
        transfer.update(MODEL.name, 11 * GB, Phase.FETCHING)
    assert transfer.total_line() == "22 % of 50.0 GB, stalled"


def test_rows_name_the_files_at_work_and_the_whole(clock: Clock) -> None:
    transfer = fetching(clock)
    transfer.update(MODEL.name, 10 * GB, Phase.FETCHING)
    clock.now_s += 10
    transfer.update(MODEL.name, 20 * GB, Phase.FETCHING)
    model, total = transfer.rows(140)
    assert model == (
        "QVQ-72B-Preview-Q4_K_M.gguf  ━━━━━━━━━━──────────  50 %  "
        "20.0 of 40.0 GB  1.0 GB/s  20 s left"
    )
    assert total.startswith("in all ")
    assert " 40 %  20.0 of 50.0 GB" in total


def test_one_file_has_no_total(clock: Clock) -> None:
    transfer = fetching(clock, [MODEL])
    transfer.update(MODEL.name, 20 * GB, Phase.FETCHING)
    assert len(transfer.rows(100)) == 1


@pytest.mark.parametrize("columns", range(20, 160, 7))
def test_rows_are_narrower_than_the_terminal(clock: Clock, columns: int) -> None:
    transfer = fetching(clock)
    clock.now_s += 10
    transfer.update(MODEL.name, 20 * GB, Phase.FETCHING)
    rows = transfer.rows(columns)
    assert all(len(row) < columns for row in rows)
    if columns > 60:
        assert "M.gguf" in rows[0], "the end of a name tells the quant"


def test_checking_is_told_as_such_and_leaves_the_total(clock: Clock) -> None:
    transfer = fetching(clock)
    transfer.update(MMPROJ.name, 10 * GB, Phase.FETCHING)
    transfer.update(MMPROJ.name, 5 * GB, Phase.CHECKING)
    row, _ = transfer.rows(120)
    assert "checking  ━━━━━━━━━━──────────  50 %" in row
    assert transfer.n_done == 20 * GB
    assert transfer.update(MMPROJ.name, 10 * GB, Phase.DONE)
    assert not transfer.update(MMPROJ.name, 10 * GB, Phase.DONE), "done only once"
    assert transfer.share == 0.4


def test_files_may_turn_up_later(clock: Clock) -> None:
    transfer = Transfer([], Phase.CHECKING, clock)
    transfer.update("a.gguf", 5, Phase.CHECKING, 10)
    assert (transfer.n_done, transfer.n_bytes) == (5, 10)


# views


def plain(clock: Clock) -> tuple[TransferView, io.StringIO]:
    err = io.StringIO()
    env = Environment.of(None, io.StringIO(), err, {})
    view = make_transfer_view([MODEL, MMPROJ], Phase.FETCHING, env, clock=clock)
    assert isinstance(view, PlainTransferView)
    return view, err


def test_a_pipe_gets_a_line_at_each_tenth(clock: Clock) -> None:
    view, err = plain(clock)
    with view:
        for n_gb in range(10, 41):
            clock.now_s += 1
            view.update(MODEL.name, n_gb * GB, Phase.FETCHING)
    lines = err.getvalue().splitlines()
    assert [line.split(" %")[0] for line in lines] == [f"qvq: {n}" for n in range(30, 90, 10)]
    assert lines[0] == "qvq: 30 % of 50.0 GB, 833 MB/s, 42 s left"


def test_a_pipe_hears_at_least_every_minute(clock: Clock) -> None:
    view, err = plain(clock)
    for _ in range(125):
        clock.now_s += 1
        view.update(MODEL.name, 10 * GB, Phase.FETCHING)
    assert err.getvalue().count("stalled") == 2


def test_a_pipe_hears_of_each_finished_file(clock: Clock) -> None:
    view, err = plain(clock)
    view.update(MMPROJ.name, 10 * GB, Phase.DONE)
    assert f"qvq: {MMPROJ.name}: 10.0 GB, checked\n" in err.getvalue()


def test_a_terminal_shows_bars_and_leaves_what_is_done() -> None:
    terminal = FakeTerminal()
    env = Environment.of(None, io.StringIO(), terminal, {"COLUMNS": "100"})
    with make_transfer_view([MODEL, MMPROJ], Phase.FETCHING, env) as view:
        view.update(MODEL.name, 20 * GB, Phase.FETCHING)
        wait_until(lambda: "in all" in terminal.text(100))
        assert "━━━━━━━━━━──────────  50 %" in terminal.text(100)
        view.update(MMPROJ.name, 10 * GB, Phase.DONE)
    assert terminal.rows(100) == [f"{MMPROJ.name}: 10.0 GB, checked"]
    assert terminal.getvalue().endswith("\x1b[?25h"), "the cursor is to be seen again"
