"""Finding the answer in what a model wrote, and the forms it is handed out in.

Knows the shapes answers take (boxes, payloads of a heading, parts, choices, closing sentences) and
what is none: a refusal, a box that the end of the text cut off. Takes any text at all, in linear
time. Where the boundary is, is the transcript's business.
"""

import re
from enum import StrEnum

from qvq_cli.errors import NoAnswerError
from qvq_cli.latex import latex_to_unicode
from qvq_cli.reasoning.answer_boxes import find_boxes, group_boxes
from qvq_cli.reasoning.answer_number import answer_numbers
from qvq_cli.reasoning.answer_parts import Part, split_parts
from qvq_cli.reasoning.answer_wrapping import CLOSING_WORDS, sentence_count, unwrap
from qvq_cli.reasoning.events import Answer
from qvq_cli.reasoning.transcript import Dialect


class AnswerFormat(StrEnum):
    """latex is what the model wrote, text the same for people, number what it comes to."""

    LATEX = "latex"
    TEXT = "text"
    NUMBER = "number"


_SOURCES = {Dialect.HEADING: "heading", Dialect.THINK_TAGS: "tags", Dialect.PLAIN: "plain"}

_HEADING = re.compile(
    r"^[ \t#*_]{0,8}(?:(?:the )?final (?:answer|result)|answer|(?:最终)?答案)[ \t*_:：]{0,8}$",
    re.IGNORECASE | re.MULTILINE,
)
_REFUSAL = re.compile(
    r"(?:i['’]m|i am|we['’]re|we are) (?:very )?(?:sorry|afraid|unable|not able)"
    r"|sorry\b|unable to\b"
    r"|(?:unfortunately, )?(?:i|we) (?:can['’]t|cannot|can not|couldn['’]t|could not|was unable"
    r"|see no|don['’]t see|do not see)\b"
    r"|(?:很|非常)?(?:抱歉|对不起|遗憾)|我(?:无法|不能|看不|没有?看|没能|找不)",
    re.IGNORECASE,
)
_UNFINISHED_BOX = re.compile(r"\\(?:boxed|fbox)\s{0,3}\{")
_NOT_AN_ANSWER = re.compile(
    r"(?:not\b|wrong|incorrect|correct\b|right\b|in\b|based|probably|likely|unclear|unknown|there\b"
    r"|正确|对的|错|合理|否|不|什么|否定)",
    re.IGNORECASE,
)
_SENTENCE_STOP = re.compile(r"[。！？\n]|[.!?](?=\s|$)|,?\s(?:because|since)\b|[，,](?:因为|由于)")
_MAX_SENTENCE_CHARS = 400
_MAX_SHOWN_CHARS = 60


def extract_answer(answer_text: str, reasoning: str, dialect: Dialect) -> Answer | None:
    """The answer a model gave, or None when it gave none.

    Args:
        answer_text: everything after the boundary; the whole reply of a model that has none.
        reasoning: everything before it, searched only when nothing came after: for its last box,
            else for a sentence in its last paragraph that says what the answer is.
        dialect: what answer_text came after; names the source of a payload taken as it stands.
    """
    text, source = _after_last_heading(answer_text, _SOURCES[dialect])
    if _REFUSAL.match(text.lstrip("* ")) and not find_boxes(text):
        return _from_sentence(text)
    return _from_payload(text, source) or _from_reasoning(reasoning)


def format_answer(answer: Answer, form: AnswerFormat) -> str:
    """An answer for stdout: as written, as Unicode text, or as decimals, one a line.

    Raises: NoAnswerError: asked for a number, and it isn't one ("answer-not-a-number").
    """
    if form is AnswerFormat.LATEX:
        return answer.text
    if form is AnswerFormat.TEXT:
        return latex_to_unicode(answer.text)
    lines: list[str] = []
    for part in answer.parts:
        numbers = answer_numbers(part)
        if not numbers:
            shown = latex_to_unicode(part)
            cut = "…" if len(shown) > _MAX_SHOWN_CHARS else ""
            raise NoAnswerError(
                f"the answer is not a number: {shown[:_MAX_SHOWN_CHARS]}{cut}",
                hint="ask for it with --answer-format text",
                reference="answer-not-a-number",
            )
        lines += numbers
    return "\n".join(lines)


def _after_last_heading(text: str, source: str) -> tuple[str, str]:
    """What the last heading inside the text announces: a model may repeat the one it was given."""
    for heading in reversed(list(_HEADING.finditer(text))):
        payload = text[heading.end() :].strip()
        if payload:
            return payload, "heading"
    return text.strip(), source


def _from_payload(text: str, source: str) -> Answer | None:
    """A heading's payload is all answer; other texts are searched for what announces it."""
    parts = split_parts(text)
    after_list = parts[-1].body.partition("\n\n")[2] if parts else ""
    # A box after the list sums up: the list was a solution's steps.
    if source == "heading" and parts and not find_boxes(after_list):
        return _from_parts(parts, source)
    boxed = _from_boxes(text)
    if boxed is not None:
        return boxed
    if source != "heading" or sentence_count(text) > 1:
        sentence = _from_sentence(text)
        if sentence is not None:
            return sentence
    if parts and not after_list:
        return _from_parts(parts, source)
    return None if _UNFINISHED_BOX.search(text) else _answer([Part("", unwrap(text))], source)


def _from_parts(parts: list[Part], source: str) -> Answer | None:
    found: list[Part] = []
    is_boxed = True
    for part in parts:
        boxes = group_boxes(part.body, find_boxes(part.body))
        if boxes:
            found.append(Part(part.label, ", ".join(unwrap(box.content) for box in boxes)))
        elif not _UNFINISHED_BOX.search(part.body):
            is_boxed = False
            found.append(Part(part.label, unwrap(part.body)))
    return _answer(found, "boxed" if is_boxed else source)


def _from_boxes(text: str) -> Answer | None:
    boxes = group_boxes(text, find_boxes(text))
    if not boxes:
        return None
    labels = [""] * len(boxes)
    if len(boxes) > 1:
        listed = split_parts(text[text.rfind("\n", 0, boxes[0].start) + 1 : boxes[-1].end])
        if len(listed) == len(boxes):
            labels = [part.label for part in listed]
    parts = [Part(label, unwrap(box.content)) for label, box in zip(labels, boxes, strict=True)]
    return _answer(parts, "boxed")


def _from_reasoning(reasoning: str) -> Answer | None:
    """What a model that never came to a heading had concluded all the same."""
    boxed = _from_boxes(reasoning)
    return boxed or _from_sentence(reasoning.rstrip().rpartition("\n\n")[2])


def _from_sentence(text: str) -> Answer | None:
    """The last sentence that says what the answer is: "the final answer is X", 故选B."""
    for words in reversed(list(CLOSING_WORDS.finditer(text))):
        limit = words.end() + _MAX_SENTENCE_CHARS
        stop = _SENTENCE_STOP.search(text, words.end(), limit)
        sentence = text[words.end() : stop.start() if stop else limit]
        said = unwrap(sentence)
        if said and not _NOT_AN_ANSWER.match(said) and not _UNFINISHED_BOX.search(sentence):
            return _answer([Part("", said)], "sentence")
    return None


def _answer(parts: list[Part], source: str) -> Answer | None:
    """Put parts together; their labels stay in the text, so that it shows which part is which."""
    parts = [part for part in parts if part.body]
    if not parts:
        return None
    lines = (f"{part.label} {part.body}".strip() for part in parts)
    text = "\n".join(lines) if len(parts) > 1 else parts[0].body
    return Answer(text=text, parts=tuple(part.body for part in parts), source=source)
