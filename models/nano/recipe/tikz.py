"""Pictures of the same problems as textbooks have them: set by LaTeX, drawn by TikZ.

For evaluation only: nano never trains on them. Needs pdflatex with TikZ (Debian: texlive-pictures).
"""

import random
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pypdfium2
from PIL import Image

from recipe.families.charts import ChartScene
from recipe.families.graphs import GraphScene
from recipe.families.polygon_arithmetic import foot_of_height
from recipe.families.polygons import PolygonScene
from recipe.families.tables import TableScene, column_name
from recipe.foreign import Drawn, latin_scene
from recipe.polygon_notes import beside_sides, beyond_corners, right_angle
from recipe.problem import Language, Scene

_DOCUMENT = r"""\documentclass[%dpt]{article}
\usepackage[T1]{fontenc}
\usepackage{tikz}
\usepackage[margin=5mm,paperwidth=160mm,paperheight=160mm]{geometry}
\pagestyle{empty}\parindent0pt
\begin{document}
%s%s
\end{document}
"""
_POINTS_PER_INCH, _MARGIN_PX = 72, 14


def find_latex() -> str | None:
    return shutil.which("pdflatex")


def tikz_set(words: tuple[str, ...], seed: int, n_each: int) -> Iterator[Drawn]:
    """Tables, charts, graphs and polygons, a quarter of the questions in Chinese."""
    rng = random.Random(seed)
    for group in ("table", "chart", "graph", "polygon"):
        for i in range(n_each):
            language: Language = "zh" if i % 4 == 0 else "en"
            scene = latin_scene(group, words, rng)
            yield group, scene.ask(rng, language), typeset(source_of(scene, rng), rng)


def source_of(scene: Scene, rng: random.Random) -> str:
    """The LaTeX of a scene's picture."""
    if isinstance(scene, TableScene):
        return _table(scene, rng)
    if isinstance(scene, ChartScene):
        body = _chart(scene)
    elif isinstance(scene, GraphScene):
        body = _graph(scene, rng)
    else:
        assert isinstance(scene, PolygonScene)
        body = _polygon(scene)
    return f"\\begin{{tikzpicture}}\n{body}\n\\end{{tikzpicture}}"


def typeset(source: str, rng: random.Random) -> Image.Image:
    """Run LaTeX and cut the page down to what is on it."""
    size, family = rng.choice((10, 11, 12)), rng.choice(("", "", "\\sffamily "))
    dpi = rng.choice((90, 110, 130))
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "page.tex")
        path.write_text(_DOCUMENT % (size, family, source), encoding="utf-8")
        command = ["pdflatex", "-interaction=batchmode", "-halt-on-error", path.name]
        subprocess.run(command, cwd=scratch, capture_output=True, timeout=120, check=True)
        pdf = pypdfium2.PdfDocument(path.with_suffix(".pdf"))
        page = pdf[0].render(scale=dpi / _POINTS_PER_INCH).to_pil().convert("RGB")
        pdf.close()
    ink = np.argwhere((np.asarray(page) < 250).any(2))
    (top, left), (bottom, right) = ink.min(0), ink.max(0) + 1
    pad = _MARGIN_PX
    return page.crop((int(left) - pad, int(top) - pad, int(right) + pad, int(bottom) + pad))


def _table(scene: TableScene, rng: random.Random) -> str:
    head = ["$x$", *(f"${column_name(column)}(x)$" for column in scene.columns)]
    rows = [[f"${x}$", *(f"${scene.values[c][x]}$" for c in scene.columns)] for x in scene.xs]
    ruled = rng.random() < 0.6
    columns = "|".join("c" * len(head))
    line = " \\\\ \\hline\n" if ruled else " \\\\\n"
    cells = [" & ".join(row) for row in rows]
    spec = f"|{columns}|" if ruled else "c" * len(head)
    body = " & ".join(head) + " \\\\ \\hline\n" + line.join(cells) + line
    top = "\\hline\n" if ruled else ""
    begin = f"\\renewcommand\\arraystretch{{1.3}}\\begin{{tabular}}{{{spec}}}\n"
    return f"{begin}{top}{body}\\end{{tabular}}"


def _chart(scene: ChartScene) -> str:
    """Bars or a line, 6 cm high; lying bars stand here."""
    unit, apart = 6 / scene.top, 1.5
    wide = apart * len(scene.names)
    lines = [f"\\draw[->] (0,0) -- ({wide:.2f},0);", "\\draw[->] (0,0) -- (0,6.5);"]
    for value in range(0, scene.top + 1, scene.step):
        y = value * unit
        lines.append(f"\\draw (-0.1,{y:.3f}) node[left] {{{value}}} -- (0,{y:.3f});")
        lines.append(f"\\draw[gray!40,very thin] (0,{y:.3f}) -- ({wide:.2f},{y:.3f});")
    points = []
    for i, (name, value) in enumerate(zip(scene.names, scene.values, strict=True)):
        x, y = (i + 0.5) * apart, value * unit
        points.append(f"({x:.2f},{y:.3f})")
        lines.append(f"\\node[below] at ({x:.2f},-0.1) {{\\small {name}}};")
        if scene.kind != "line":
            lines.append(
                f"\\draw[fill=blue!50] ({x - 0.45:.2f},0) rectangle ({x + 0.45:.2f},{y:.3f});"
            )
        if scene.is_labelled:
            lines.append(f"\\node[above] at ({x:.2f},{y:.3f}) {{{value}}};")
    if scene.kind == "line":
        lines.append(f"\\draw[thick,red] {' -- '.join(points)};")
        lines += [f"\\fill[red] {point} circle (2pt);" for point in points]
    return "\n".join(lines)


def _graph(scene: GraphScene, rng: random.Random) -> str:
    """Axes with arrows and numbers, at most 8 cm wide."""
    left, right, bottom, top = scene.reach
    cm = 8 / max(right - left, top - bottom)
    lines = [f"\\begin{{scope}}[x={cm:.3f}cm,y={cm:.3f}cm]"]
    lines.append(f"\\draw[gray!50,very thin,step=1] ({left},{bottom}) grid ({right},{top});")
    lines.append(f"\\draw[->] ({left},0) -- ({right + 0.6},0) node[right] {{$x$}};")
    lines.append(f"\\draw[->] (0,{bottom}) -- (0,{top + 0.6}) node[above] {{$y$}};")
    for x in range(left, right + 1, scene.tick):
        if x:
            lines.append(f"\\node[below] at ({x},0) {{\\footnotesize ${x}$}};")
    for y in range(bottom, top + 1, scene.tick):
        if y:
            lines.append(f"\\node[left] at (0,{y}) {{\\footnotesize ${y}$}};")
    if scene.is_line:
        formula = f"{float(scene.m):.6f}*\\x+({float(scene.k):.6f})"
    else:
        formula = f"{float(scene.a):.6f}*(\\x-({scene.h}))^2+({float(scene.k):.6f})"
    color = rng.choice(("blue", "red", "black"))
    lines.append(f"\\begin{{scope}}\\clip ({left},{bottom}) rectangle ({right},{top});")
    lines.append(
        f"\\draw[very thick,{color},domain={left}:{right},samples=120] plot (\\x,{{{formula}}});"
    )
    lines.append("\\end{scope}")
    lines += [f"\\fill[{color}] ({x},{int(scene.at(x))}) circle (2.5pt);" for x in scene.dots]
    return "\n".join([*lines, "\\end{scope}"])


def _polygon(scene: PolygonScene) -> str:
    """Corners, sides and angles with what is written at them; 6 cm across."""
    points = np.asarray(scene.corners, float)
    points = (points - points.min(0)) / np.ptp(points, axis=0).max() * 6
    path = " -- ".join(f"({x:.3f},{y:.3f})" for x, y in points)
    lines = [f"\\draw[thick] {path} -- cycle;"]

    def node(at: np.ndarray, text: str) -> None:
        text = text.replace("°", "$^\\circ$")
        if text:
            lines.append(f"\\node at ({at[0]:.3f},{at[1]:.3f}) {{{text}}};")

    for at, name in zip(beyond_corners(points, 0.4), scene.names, strict=False):
        node(at, f"${name}$")
    for at, text in zip(beside_sides(points, 0.5), scene.sides, strict=True):
        node(at, text)
    for at, text in zip(beyond_corners(points, -1.1), scene.angles, strict=True):
        node(at, text)
    if scene.right >= 0:
        mark = right_angle(points, scene.right, 0.35)
        square = " -- ".join(f"({x:.3f},{y:.3f})" for x, y in mark)
        lines.append(f"\\draw {square};")
    if scene.height:
        ends = np.array([points[-1], foot_of_height(points)])
        dashes = " -- ".join(f"({x:.3f},{y:.3f})" for x, y in ends)
        lines.append(f"\\draw[dashed] {dashes};")
        node(ends.mean(0) + np.array([0.4, 0]), scene.height)
    return "\n".join(lines)
