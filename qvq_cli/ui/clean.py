"""Takes out of text what could act on a terminal instead of being read.

Models, file names and error texts of other programs are all untrusted here. JSON does without this:
its own escapes already make control characters harmless, and it must carry the exact text.
"""

import re

_C0_AND_C1 = [*range(0x00, 0x20), *range(0x7F, 0xA0)]
_BIDI_OVERRIDES = [*range(0x202A, 0x202F), *range(0x2066, 0x206A)]
_LINE_SEPARATORS = [0x2028, 0x2029]
_SURROGATES = range(0xD800, 0xE000)

_READABLE: dict[int, str | None] = {
    **dict.fromkeys([*_C0_AND_C1, *_BIDI_OVERRIDES]),
    **dict.fromkeys(_LINE_SEPARATORS, "\n"),
    **dict.fromkeys(_SURROGATES, "\ufffd"),
    ord("\t"): "\t",
    ord("\n"): "\n",
}
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def clean(text: str) -> str:
    """Drop control characters (ESC among them) and bidi overrides; tab and newline stay."""
    return text.translate(_READABLE)


def clean_line(text: str) -> str:
    """`clean`, on one line."""
    return clean(text).replace("\n", " ").replace("\t", " ")


def without_surrogates(text: str) -> str:
    """The same text, but encodable: undecodable bytes of a file name become U+FFFD."""
    return _LONE_SURROGATE.sub("\ufffd", text)
