"""One formula from LaTeX to a line of Unicode.

pylatexenc parses and knows the symbols; this module renders what it parsed, through layout.
The only importer of pylatexenc.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

from pylatexenc import latex2text, latexwalker, macrospec

from qvq_cli.latex.layout import (
    Piece,
    fraction_piece,
    join_pieces,
    root_piece,
    script_piece,
    text_piece,
)

# What the library has no word for, or a word a terminal shows badly.
_SYMBOLS = {
    **{"ne": "≠", "lt": "<", "gt": ">", "leqslant": "≤", "geqslant": "≥", "leqq": "≤", "geqq": "≥"},
    **{"implies": "⇒", "iff": "⇔", "longrightarrow": "→", "land": "∧", "lor": "∨", "neg": "¬"},
    **{"triangle": "△", "degree": "°", "checkmark": "✓", "phi": "φ", "epsilon": "ε", "sim": "~"},
    **{"quad": " ", "qquad": " ", ",": " ", ";": " ", ":": " ", " ": " ", ">": " ", "!": ""},
    **{"%": "%", "|": "‖", "lVert": "‖", "rVert": "‖", "prime": "′", "ohm": "Ω", "celsius": "°C"},
    **{"displaystyle": "", "textstyle": "", "limits": "", "nolimits": ""},
    **{"boxed": "", "fbox": "", "ce": "", "rm": "", "bf": "", "it": "", "hline": ""},
}
_SIZES = {
    f"{size}{side}" for size in ("big", "Big", "bigg", "Bigg") for side in ("", "l", "r", "m")
}
_SIZES |= {"left", "right", "middle"}
_SYMBOLS |= dict.fromkeys(_SIZES, "")
_FUNCTION_NAMES = """
sin cos tan cot sec csc sinh cosh tanh arcsin arccos arctan ln log lg exp lim max min sup inf gcd
lcm det dim deg mod bmod arg ker
"""
_FUNCTIONS = frozenset(_FUNCTION_NAMES.split())
_FRACTIONS = {"frac", "dfrac", "tfrac", "cfrac", "nicefrac"}
_TEXT = {"text", "mbox", "hbox", "emph", "textrm", "textnormal", "textbf", "textit", "textsf"}
_PLAIN = {"mathrm", "mathbf", "mathit", "mathsf", "mathtt", "boldsymbol", "bm", "operatorname"}
_PLAIN |= {"cancel", "bcancel", "xcancel", "underline", "overbrace", "underbrace", "wideparen"}
_PLAIN |= {"widetilde", "widehat", "ensuremath", "mathop", "mathbin", "mathrel"}
_HIDDEN = {"phantom", "hphantom", "vphantom", "hspace", "vspace", "label", "tag", "color"}
_OVERLINE = "\u0305"
_COMBINING = {
    **{"overline": _OVERLINE, "vec": "\u20d7", "overrightarrow": "\u20d7", "bar": "\u0304"},
    **{"hat": "\u0302", "tilde": "\u0303", "dot": "\u0307", "ddot": "\u0308"},
}
_ALPHABETS = {"mathbb": "doublestruck", "mathcal": "script", "mathfrak": "fraktur"}
_ARROWS = {"xrightarrow": "→", "xleftarrow": "←", "xlongequal": "="}
_MATRICES = {
    **{"pmatrix": ("(", ")"), "bmatrix": ("[", "]"), "Bmatrix": ("{", "}"), "vmatrix": ("|", "|")},
    **dict.fromkeys(("matrix", "smallmatrix", "array"), ("[", "]")),
}
_CASES = {"cases", "dcases", "rcases"}
_ROOTS = {"": "√", "2": "√", "3": "∛", "4": "∜"}
_BARE_PERCENT = re.compile(r"(?<!\\)%")


def math_to_unicode(formula: str) -> str:
    """A formula, without its delimiters, as one line of Unicode (`\\\\` starts a new one).

    Never raises: nesting too deep to read comes back as it was.
    """
    try:
        walker = latexwalker.LatexWalker(
            _BARE_PERCENT.sub(r"\\%", formula),
            latex_context=_grammar(),
            tolerant_parsing=True,
        )
        nodes, _, _ = walker.get_latex_nodes()
        return _tidy(_line(nodes))
    except RecursionError:
        return formula


def is_known(command: str) -> bool:
    """Does a command, named without its backslash, mean something here or to the library?"""
    return (
        command in _FUNCTIONS
        or command in _MACROS
        or command in ("begin", "end")
        or (len(command) > 1 and _symbol(command) is not None)
    )


@cache
def _grammar() -> Any:
    """The commands' arguments for the parser: the library's, and those it doesn't know."""
    context = latexwalker.get_default_latex_context_db().filter_context(
        exclude_categories=["nonascii-specials", "verbatim"]
    )
    context.add_context_category(
        "qvq",
        prepend=True,
        macros=[macrospec.MacroSpec(name, args) for name, (args, _) in _MACROS.items()],
        environments=[macrospec.EnvironmentSpec("array", "{")],
        specials=[macrospec.SpecialsSpec("&")],
    )
    return context


@cache
def _vocabulary() -> Any:
    return latex2text.get_default_latex_context_db()


def _line(nodes: Sequence[Any]) -> str:
    return join_pieces(list(_pieces(_flatten(nodes))))


def _tidy(line: str) -> str:
    rows = (re.sub(r"[^\S\n]+", " ", row).strip() for row in line.split("\n"))
    return "\n".join(row for row in rows if row)


def _flatten(nodes: Sequence[Any]) -> list[Any]:
    """Nodes, with each run of characters taken apart, since `^` takes only the next character."""
    flat: list[Any] = []
    for node in nodes:
        if node.isNodeType(latexwalker.LatexCharsNode):
            flat.extend(node.chars.replace("\n", " "))
        elif node.isNodeType(latexwalker.LatexSpecialsNode):
            flat.extend(node.specials_chars.replace("~", " ").replace("\n", " "))
        elif not node.isNodeType(latexwalker.LatexCommentNode):
            flat.append(node)
    return flat


def _pieces(items: Sequence[Any]) -> Iterator[Piece]:
    index = 0
    while index < len(items):
        item = items[index]
        index += 1
        if not isinstance(item, str):
            yield from _node_pieces(item)
            if _name(item) in _SIZES and _is_char(items, index, "."):
                index += 1
        elif item in "^_":
            while _is_char(items, index, " "):
                index += 1
            yield script_piece(item, join_pieces(list(_pieces(items[index : index + 1]))))
            index += 1
        else:
            yield text_piece(item)


def _is_char(items: Sequence[Any], index: int, char: str) -> bool:
    return index < len(items) and isinstance(items[index], str) and items[index] == char


def _name(node: Any) -> str:
    is_macro = not isinstance(node, str) and node.isNodeType(latexwalker.LatexMacroNode)
    return str(node.macroname) if is_macro else ""


def _node_pieces(node: Any) -> Iterator[Piece]:
    if node.isNodeType(latexwalker.LatexMacroNode):
        yield from _macro_pieces(node)
    elif node.isNodeType(latexwalker.LatexEnvironmentNode):
        yield Piece(_environment(node), "operand")
    elif node.isNodeType(latexwalker.LatexGroupNode) and node.delimiters != ("{", "}"):
        opening, closing = node.delimiters
        yield Piece(f"{opening}{_line(node.nodelist)}{closing}", "operand")
    else:
        yield from _pieces(_flatten(node.nodelist))


def _macro_pieces(node: Any) -> Iterator[Piece]:
    name = node.macroname
    arguments = node.nodeargd.argnlist if node.nodeargd is not None else []
    symbol = _symbol(name)
    if name in _MACROS and arguments:
        yield _MACROS[name][1](name, arguments)
        return
    if name == "\\":
        yield Piece("\n", "space")
    elif name in _FUNCTIONS or symbol is None:
        # An unknown command shows as its name, set apart like a function's: nothing is lost unseen.
        yield Piece("mod" if name == "bmod" else name, "function")
        for argument in arguments:
            yield from _pieces(_flatten([argument] if argument is not None else []))
    else:
        yield text_piece(symbol)
        if not symbol.strip():
            return
    if node.macro_post_space:
        yield Piece(" ", "end")


def _symbol(name: str) -> str | None:
    """What a command without arguments stands for; None where neither table has it."""
    if name in _SYMBOLS:
        return _SYMBOLS[name]
    spec = _vocabulary().get_macro_spec(name)
    is_symbol = spec is not None and isinstance(spec.simplify_repl, str)
    return str(spec.simplify_repl) if is_symbol and "%" not in spec.simplify_repl else None


def _fraction(_name: str, arguments: Sequence[Any]) -> Piece:
    above, below = (_tidy(_line([argument])) for argument in arguments)
    return fraction_piece(above, below)


def _root(_name: str, arguments: Sequence[Any]) -> Piece:
    index, radicand = arguments
    degree = _line(index.nodelist).strip() if index is not None else ""
    sign = _ROOTS.get(degree) or f"{script_piece('^', degree).text}√"
    return root_piece(sign, _tidy(_line([radicand])))


def _plain_text(_name: str, arguments: Sequence[Any]) -> Piece:
    """Words inside a formula: their spaces stand, only formulas among them are converted."""
    argument = arguments[-1]
    is_group = argument.isNodeType(latexwalker.LatexGroupNode)
    nodes = argument.nodelist if is_group else [argument]
    words = (n.chars if n.isNodeType(latexwalker.LatexCharsNode) else _line([n]) for n in nodes)
    return Piece("".join(words), "operand")


def _last_argument(_name: str, arguments: Sequence[Any]) -> Piece:
    return Piece(_line(arguments[-1:]), "operand")


def _combining(name: str, arguments: Sequence[Any]) -> Piece:
    """A mark over letters: a bar over each of them, an arrow over the last."""
    body = _line(arguments[-1:]).strip()
    mark = _COMBINING[name]
    marked = "".join(char + mark for char in body) if mark == _OVERLINE else body + mark
    return Piece(marked, "operand")


def _alphabet(name: str, arguments: Sequence[Any]) -> Piece:
    letters = _line(arguments[-1:])
    return Piece(str(latex2text.fmt_math_text_style(letters, _ALPHABETS[name])), "operand")


def _labelled_arrow(name: str, arguments: Sequence[Any]) -> Piece:
    label = _line(arguments[-1:]).strip()
    return Piece(f" {_ARROWS[name]}{f'({label})' if label else ''} ", "operator")


def _stacked(name: str, arguments: Sequence[Any]) -> Piece:
    mark, base = (_line([argument]).strip() for argument in arguments)
    script = script_piece("_" if name == "underset" else "^", mark).text
    return Piece(f"{base}{script}", text_piece(base).kind)


def _binomial(_name: str, arguments: Sequence[Any]) -> Piece:
    above, below = (_line([argument]).strip() for argument in arguments)
    return Piece(f"C({above}, {below})", "operand")


def _negated(_name: str, arguments: Sequence[Any]) -> Piece:
    body = _line(arguments).strip()
    return Piece({"=": "≠", "∈": "∉", "⊂": "⊄"}.get(body, f"{body}\u0338"), "operator")


def _hidden(_name: str, _arguments: Sequence[Any]) -> Piece:
    return Piece("", "none")


_Render = Callable[[str, Sequence[Any]], Piece]
_MACROS: dict[str, tuple[str, _Render]] = {
    **dict.fromkeys(_FRACTIONS, ("{{", _fraction)),
    **dict.fromkeys(_TEXT, ("{", _plain_text)),
    **dict.fromkeys(_PLAIN, ("{", _last_argument)),
    **dict.fromkeys(_COMBINING, ("{", _combining)),
    **dict.fromkeys(_ARROWS, ("[{", _labelled_arrow)),
    **dict.fromkeys(("stackrel", "overset", "underset"), ("{{", _stacked)),
    **dict.fromkeys(("binom", "dbinom", "tbinom"), ("{{", _binomial)),
    **dict.fromkeys(_HIDDEN, ("{", _hidden)),
    **dict.fromkeys(_ALPHABETS, ("{", _alphabet)),
    "sqrt": ("[{", _root),
    "textcolor": ("{{", _last_argument),
    "not": ("{", _negated),
}


def _environment(node: Any) -> str:
    """Rows and cells in a line: (1 2; 3 4), { x, x > 0; −x, x < 0; aligned lines stay lines."""
    rows: list[list[list[Any]]] = [[[]]]
    for child in node.nodelist:
        if child.isNodeType(latexwalker.LatexSpecialsNode) and child.specials_chars == "&":
            rows[-1].append([])
        elif _name(child) == "\\":
            rows.append([[]])
        else:
            rows[-1][-1].append(child)
    name = node.environmentname.rstrip("*")
    gap = " " if name in _MATRICES or name in _CASES else ""
    lines = [_tidy(gap.join(map(_line, row))) for row in rows]
    lines = [line for line in lines if line]
    if name in _MATRICES:
        opening, closing = _MATRICES[name]
        return f"{opening}{'; '.join(lines)}{closing}"
    return f"{{ {'; '.join(lines)} }}" if name in _CASES else "\n".join(lines)
