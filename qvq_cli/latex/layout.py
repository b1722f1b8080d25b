"""How the pieces of a formula read side by side in one line. Knows no LaTeX and no library."""

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple
from unicodedata import category

_SUPERSCRIPT = str.maketrans(
    "0123456789+-−=()abcdefghijklmnoprstuvwxyzT′",
    "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻᵀ′",
)
_SUBSCRIPT = str.maketrans("0123456789+-−=()aehijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉₊₋₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ")

_OPENING = frozenset("([{⟨⌊⌈|‖")
_CLOSING = frozenset(")]}⟩⌋⌉")
_OPERAND_SIGNS = frozenset("'′°%.!$∞∅…")
_PREFIXES = frozenset("∠∡△∇∂¬∃∀∑∏∫∬∮")
_SIGNS = frozenset("±∓")
_BEFORE_UNARY = frozenset(["", *"=<>≤≥≠≈([{,→⇒"])
_SUM = re.compile(r"[+−=<>≤≥±→/]|(?<=.)-")
_FACTOR = re.compile(
    r"-?[√∛∜]?(?:\d[\d.,]*|[^\W\d_][\u0305\u0304\u20d7]*)['′°₀-₉⁰¹²³⁴-⁹ⁿⁱᵃ-ᶻₐ-ₜ]*"
    r"|[√∛∜]?\([^()]*\)|[d∂][a-z]|[A-Z]{2,}|[^\W\d_]{3,}"
)

Kind = Literal[
    "operand", "open", "operator", "function", "script", "fraction", "space", "end", "none"
]


class Piece(NamedTuple):
    """A stretch of output.

    kind "end" is a space that only ended a command. `wrapped` is how the piece reads where its bare
    text would be ambiguous: 1/2 before x is (1/2)x.
    """

    text: str
    kind: Kind
    wrapped: str = ""


def text_piece(text: str) -> Piece:
    """A character or a symbol, with the part it plays in a formula."""
    if text.isspace():
        return Piece(" ", "space")
    if text in _OPENING:
        return Piece(text, "open")
    first = text[:1]
    is_operand = first.isalnum() or first in _CLOSING | _OPERAND_SIGNS
    return Piece(text, "operand" if is_operand else "operator")


def script_piece(sign: str, body: str) -> Piece:
    """Raise or lower what Unicode can raise or lower; the rest keeps its sign: x^(Q+1), v_AB."""
    dense = body.replace(" ", "")
    if not dense:
        return Piece(sign, "operator")
    if sign == "^" and dense in ("∘", "°"):
        return Piece("°", "script")
    table = _SUPERSCRIPT if sign == "^" else _SUBSCRIPT
    if all(ord(char) in table for char in dense):
        return Piece(dense.translate(table), "script")
    bare = len(dense) == 1 or all(category(char) in ("Lu", "Ll", "Lo", "Nd") for char in dense)
    return Piece(f"{sign}{dense}" if bare else f"{sign}({body.strip()})", "script")


def fraction_piece(above: str, below: str) -> Piece:
    """a/b, with brackets around a sum above and around anything but one factor below."""
    if _SUM.search(above) and not _FACTOR.fullmatch(above):
        above = f"({above})"
    if not _FACTOR.fullmatch(below):
        below = f"({below})"
    return Piece(f"{above}/{below}", "fraction", f"({above}/{below})")


def root_piece(sign: str, body: str) -> Piece:
    wrapped = f"{sign}({body})"
    is_bare = re.fullmatch(r"\d+|[^\W\d_]", body) is not None
    return Piece(f"{sign}{body}", "operand", wrapped) if is_bare else Piece(wrapped, "operand")


def join_pieces(pieces: Sequence[Piece]) -> str:
    """Put pieces side by side with the spaces, signs and brackets that keep their meaning."""
    out = ""
    before: Kind = "none"
    is_function_open = False
    shown = [piece for piece in pieces if piece.text]
    for index, piece in enumerate(shown):
        following = shown[index + 1] if index + 1 < len(shown) else None
        text = piece.text
        if piece.kind == "space":
            text = "" if before == "open" and out[-1:] not in "|‖" else text
        elif piece.kind == "end":
            text = _end_of_command(out, before, following)
        else:
            if text[0] in _CLOSING:
                out = out.rstrip(" ")
            text = _in_place(piece, out, before, following, is_function_open)
            is_function_open = piece.kind == "function" or (
                is_function_open and piece.kind == "script"
            )
            before = piece.kind
        out += text
    return out


def _end_of_command(out: str, before: Kind, following: Piece | None) -> str:
    """The space after a command shows where it reads as one: "x ≤ 5", "π = 3"; but "πr", "∠ABC"."""
    if following is None or before == "function" or out[-1:].isspace():
        return ""
    if before == "operand":
        return "" if following.kind in ("operand", "open", "function", "fraction") else " "
    sign = out[-1:]
    is_unary = sign in _SIGNS and out[-4:-1].rstrip()[-1:] in _BEFORE_UNARY
    if sign in _PREFIXES or is_unary:
        return ""
    return " " if out[-2:-1].isspace() or len(out) == 1 else ""


def _in_place(
    piece: Piece, out: str, before: Kind, following: Piece | None, is_function_open: bool
) -> str:
    """One visible piece as it reads between its neighbours."""
    text, kind, wrapped = piece
    is_glued = bool(out) and not out[-1].isspace() and before in ("operand", "script", "fraction")
    if kind == "operator" and text == "-" and before in ("operand", "script", "fraction"):
        return "−"
    if kind == "fraction":
        if is_function_open:
            return wrapped if out[-1].isalpha() or out[-1].isspace() else f" {wrapped}"
        if is_glued and out[-1].isdigit() and re.fullmatch(r"\d+/\d+", text):
            return f" {text}"
        return wrapped if is_glued or _is_factor(following) else text
    if wrapped and _is_factor(following):
        text = wrapped
    is_argument = is_function_open and kind in ("operand", "function") and text[0] not in _CLOSING
    if (is_argument and not out[-1].isspace()) or (kind == "function" and is_glued):
        return f" {text}"
    return text


def _is_factor(piece: Piece | None) -> bool:
    """Would this piece, right after a fraction or a root, seem to belong to it?"""
    if piece is None:
        return False
    if piece.kind == "operand":
        return piece.text[0].isalnum()
    is_bar = piece.text in ("|", "‖")
    return piece.kind in ("script", "open", "function", "fraction") and not is_bar
