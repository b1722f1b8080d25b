"""The answer on a terminal: framed, its LaTeX shown as Unicode."""

from rich.box import ROUNDED
from rich.panel import Panel
from rich.text import Text

from qvq_cli.errors import QvqError
from qvq_cli.reasoning.events import Answer, Event, Record, Solved
from qvq_cli.ui.clean import clean
from qvq_cli.ui.consoles import make_console
from qvq_cli.ui.plain import FormatAnswer
from qvq_cli.ui.streams import Environment
from qvq_cli.ui.wording import agreement

_ANSWER_STYLE = "bold"
_FRAME_STYLE = "green"


def as_unicode(answer: Answer) -> str:
    """The answer's text with its LaTeX made readable."""
    from qvq_cli.latex import latex_to_unicode

    return latex_to_unicode(answer.text)


def _title(record: Record) -> str:
    return "Answer" if record.votes is None else f"Answer, {agreement(record.votes)}"


class PanelSink:
    """Puts the answer in a panel on stdout, which must be a terminal."""

    def __init__(self, env: Environment, format_answer: FormatAnswer | None):
        self._stdout = env.stdout
        self._console = make_console(env.stdout, env)
        self._format_answer = format_answer or as_unicode

    def handle(self, event: Event) -> None:
        if not isinstance(event, Solved) or event.record.answer is None:
            return
        text = Text(clean(self._format_answer(event.record.answer)).strip(), _ANSWER_STYLE)
        self._console.width = self._stdout.columns()
        self._console.print(
            Panel(
                text,
                box=ROUNDED,
                title=_title(event.record),
                title_align="left",
                border_style=_FRAME_STYLE,
                expand=False,
            )
        )

    def error(self, error: QvqError) -> None:
        """Errors are for stderr."""
