"""The sentences that terminal and pipe share."""

import pytest

from qvq_cli.reasoning.events import Finish
from qvq_cli.ui.wording import clock_time, duration, no_answer, settings, summary
from ui_samples import RECORD, UNANSWERED


@pytest.mark.parametrize(
    ("seconds", "long", "short"),
    [
        (0.04, "0.0 s", "0:00"),
        (9.94, "9.9 s", "0:09"),
        (59.4, "59 s", "0:59"),
        (59.6, "1 min 00 s", "0:59"),
        (192, "3 min 12 s", "3:12"),
        (3599.7, "1 h 00 min", "59:59"),
        (7500, "2 h 05 min", "2:05:00"),
    ],
)
def test_times(seconds: float, long: str, short: str) -> None:
    assert duration(seconds) == long
    assert clock_time(seconds) == short


def test_summary_counts_one_token_as_one() -> None:
    record = RECORD._replace(usage=RECORD.usage._replace(reasoning_tokens=0, answer_tokens=1))
    assert " · 1 token · " in summary(record)


@pytest.mark.parametrize("finish", Finish)
def test_every_finish_has_its_reason_and_only_the_last_words(finish: Finish) -> None:
    record = UNANSWERED._replace(finish=finish, reasoning="start " * 100 + "the end")
    message = no_answer(record).message
    assert message.startswith("no answer was reached: ")
    assert message.endswith("the end") and len(message) < 400 and "…" in message


def test_more_thinking_is_no_help_to_a_model_that_stopped_by_itself() -> None:
    def hint(finish: Finish) -> str:
        return no_answer(UNANSWERED._replace(finish=finish)).hint or ""

    assert "--max-thinking" in hint(Finish.BUDGET)
    assert "--max-thinking" not in hint(Finish.CONCLUDED)


def test_no_last_words_when_nothing_was_said() -> None:
    assert "last words" not in no_answer(UNANSWERED._replace(reasoning=" \n")).message


def test_settings_say_how_to_run_it_again() -> None:
    rows = dict(settings(RECORD._replace(sampling=RECORD.sampling._replace(temperature=0.6))))
    assert rows["model"] == "QVQ-72B-Preview Q4_K_M"
    assert rows["sampling"].startswith("temperature 0.6, top_p 1, ")
    assert rows["sha256 of mmproj.gguf"] == "not verified"
