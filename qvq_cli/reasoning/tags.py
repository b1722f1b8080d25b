"""The boundary of tagged models: `</think>`, as Qwen3-VL-Thinking writes it.

Its template opens `<think>` in the prompt, so the output usually holds the closing tag alone; an
opening tag at the very start is taken off. A second closing tag is text of the answer.
"""

from qvq_cli.reasoning.boundary import BLANKS, Conclusion, Cut, hold_blanks
from qvq_cli.reasoning.language import Language

OPENING_TAG = "<think>"
CLOSING_TAG = "</think>"


class TagSplitter:
    """Splits at the first closing tag. Holds back blanks and what may be the start of a tag.

    Blanks before the reasoning are dropped, with the opening tag if there is one.
    """

    def __init__(self) -> None:
        self._held = ""
        self._may_open = True
        self._has_begun = False

    def push(self, delta: str) -> Cut:
        return self._scan(self._held + delta, is_end=False)

    def flush(self) -> Cut:
        return self._scan(self._held, is_end=True)

    @property
    def held(self) -> str:
        return self._held

    def _scan(self, text: str, *, is_end: bool) -> Cut:
        self._held = ""
        if not self._has_begun:
            text = text.lstrip(BLANKS)
            if self._may_open and text.startswith(OPENING_TAG):
                self._may_open = False
                text = text[len(OPENING_TAG) :].lstrip(BLANKS)
            if not text:
                return Cut("")
            if self._may_open and OPENING_TAG.startswith(text) and not is_end:
                self._held = text
                return Cut("")
            self._has_begun = True
        stem, tag, answer = text.partition(CLOSING_TAG)
        partial = "" if tag or is_end else _tag_start(stem)
        stem = stem[: len(stem) - len(partial)]
        visible = stem.rstrip(BLANKS)
        blanks = hold_blanks(stem[len(visible) :])
        if tag:
            return Cut(visible + blanks.let_go, blanks.kept + tag, answer)
        if is_end:
            return Cut(stem)
        self._held = blanks.kept + partial
        return Cut(visible + blanks.let_go)

    def conclusion(self, language: Language, tail: str) -> Conclusion:  # noqa: ARG002
        """The closing tag on a line of its own, whatever the language."""
        newline = "" if tail.endswith("\n") else "\n"
        return Conclusion(f"{newline}{CLOSING_TAG}\n\n", parse_special=True)


def _tag_start(text: str) -> str:
    """The end of a text that is a closing tag cut short, or ""."""
    at = text.rfind("<")
    return text[at:] if at >= 0 and CLOSING_TAG.startswith(text[at:]) else ""
