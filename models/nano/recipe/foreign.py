"""Pictures of the same problems by other programs: matplotlib and HTML in a headless browser.

For evaluation only: nano never trains on them.
"""

import io
import random
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from recipe.drawing import Studio
from recipe.families.charts import ChartScene, make_chart
from recipe.families.derivatives import Definition
from recipe.families.graphs import GraphScene, make_graph
from recipe.families.polygon_arithmetic import foot_of_height
from recipe.families.polygon_making import make_polygon
from recipe.families.polygons import PolygonScene
from recipe.families.shapes import ShapesScene, make_shapes
from recipe.families.tables import Column, TableScene, column_name, make_table
from recipe.polygon_notes import beside_sides, beyond_corners, right_angle
from recipe.problem import Exchange, Language
from recipe.words import COLORS, KINDS

Drawn = tuple[str, Exchange, Image.Image]


# ---------------------------------------------------------------------- matplotlib
def matplotlib_set(words: tuple[str, ...], seed: int, n_each: int) -> Iterator[Drawn]:
    """Each family as people draw it with matplotlib's defaults, more or less."""
    rng = random.Random(seed)
    for group, draw in _MATPLOTLIB.items():
        for i in range(n_each):
            language: Language = "zh" if i % 4 == 0 else "en"
            scene = latin_scene(group, words, rng)
            yield group, scene.ask(rng, language), draw(scene, rng)


def latin_scene(group: str, words: tuple[str, ...], rng: random.Random) -> Any:
    """A scene for programs without Chinese fonts; the x of a table run down."""
    while True:
        scene = {
            "table": lambda: make_table(rng),
            "chart": lambda: make_chart(rng, words),
            "graph": lambda: make_graph(rng),
            "polygon": lambda: make_polygon(rng),
            "shapes": lambda: make_shapes(rng),
        }[group]()
        if isinstance(scene, ChartScene) and not all(n.isascii() for n in scene.names):
            continue
        if not (isinstance(scene, TableScene) and scene.transposed):
            return scene


def _figure(rng: random.Random, sizes: tuple[tuple[float, float], ...]) -> tuple[Any, Any]:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    pyplot.rcParams["font.family"] = rng.choice(
        ["DejaVu Sans", "DejaVu Sans", "DejaVu Serif", "STIXGeneral"]
    )
    figure, axes = pyplot.subplots(figsize=rng.choice(sizes), dpi=rng.choice([80, 100, 100]))
    return figure, axes


def _finish(figure: Any) -> Image.Image:
    from matplotlib import pyplot

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    pyplot.close(figure)
    return Image.open(buffer).convert("RGB")


def _cells(scene: TableScene, minus: str, prime: str) -> tuple[list[str], list[list[str]]]:
    head = ["x", *(f"{column_name(c)}(x)".replace("'", prime) for c in scene.columns)]
    rows = [[str(x), *(str(scene.values[c][x]) for c in scene.columns)] for x in scene.xs]
    return head, [[cell.replace("-", minus) for cell in row] for row in rows]


def _mpl_table(scene: TableScene, rng: random.Random) -> Image.Image:
    figure, axes = _figure(rng, ((4.2, 2.4), (4.8, 2.6), (5, 3), (6.4, 4.8)))
    axes.axis("off")
    head, rows = _cells(scene, rng.choice("-−"), "'")
    if rng.random() < 0.3:
        head = [f"${h}$" for h in head]
    table = axes.table(
        cellText=rows,
        colLabels=head,
        loc="center",
        cellLoc=rng.choice(["center", "center", "right"]),
    )
    table.auto_set_font_size(False)
    table.set_fontsize(rng.choice([10, 11, 12, 14]))
    table.scale(1, rng.choice([1.2, 1.4, 1.6]))
    return _finish(figure)


def _mpl_chart(scene: ChartScene, rng: random.Random) -> Image.Image:
    figure, axes = _figure(rng, ((5, 3.5), (6.4, 4.8), (6, 4)))
    if scene.kind == "line":
        axes.plot(scene.names, scene.values, marker="o")
    elif scene.kind == "lying bars":
        bars = axes.barh(scene.names, scene.values)
    else:
        bars = axes.bar(
            scene.names, scene.values, color=rng.choice(["steelblue", "tab:orange", None, "green"])
        )
    if scene.kind == "line" and scene.is_labelled:
        for name, value in zip(scene.names, scene.values, strict=True):
            axes.annotate(
                str(value), (name, value), textcoords="offset points", xytext=(0, 6), ha="center"
            )
    elif scene.is_labelled:
        axes.bar_label(bars)
    if not scene.is_labelled or rng.random() < 0.5:  # else matplotlib chooses its own
        ticks = range(0, scene.top + 1, scene.step)
        (axes.set_xticks if scene.kind == "lying bars" else axes.set_yticks)(list(ticks))
    if rng.random() < 0.5:
        axes.grid(True, axis="x" if scene.kind == "lying bars" else "y")
    if rng.random() < 0.5:
        axes.set_title("Sales")
    figure.tight_layout()
    return _finish(figure)


def _mpl_graph(scene: GraphScene, rng: random.Random) -> Image.Image:
    figure, axes = _figure(rng, ((5, 5), (6.4, 4.8), (4.5, 4.5)))
    left, right, bottom, top = scene.reach
    x = np.linspace(left, right, 300)
    y = (
        float(scene.m) * x + float(scene.k)
        if scene.is_line
        else float(scene.a) * (x - scene.h) ** 2 + float(scene.k)
    )
    axes.plot(x, y)
    for px in scene.dots:
        axes.plot([px], [float(scene.at(px))], "o", color="C0")
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)
    axes.set_xticks(range(left, right + 1, scene.tick))
    axes.set_yticks(range(bottom, top + 1, scene.tick))
    axes.grid(rng.random() < 0.8)
    if rng.random() < 0.6:
        axes.axhline(0, color="black", linewidth=1)
        axes.axvline(0, color="black", linewidth=1)
    return _finish(figure)


def _mpl_polygon(scene: PolygonScene, rng: random.Random) -> Image.Image:
    figure, axes = _figure(rng, ((4.5, 3.5), (5, 4)))
    points = np.asarray(scene.corners, float)
    middle, reach = points.mean(0), np.ptp(points, axis=0).max()
    axes.fill(*points.T, fill=False, edgecolor="black")
    size = rng.choice([11, 12, 14])
    notes = [
        *zip(beyond_corners(points, reach * 0.07), scene.names, strict=False),
        *zip(beside_sides(points, reach * 0.09), scene.sides, strict=True),
        *zip(points + (middle - points) * 0.3, scene.angles, strict=True),
    ]
    for at, text in notes:
        axes.text(*at, text, ha="center", va="center", fontsize=size)
    if scene.right >= 0:
        mark = right_angle(points, scene.right, reach * 0.07)
        axes.plot(*mark.T, color="black", linewidth=1)
    if scene.height:
        ends = np.array([points[-1], foot_of_height(points)])
        axes.plot(*ends.T, "k--", linewidth=1)
        x, y = ends.mean(0)
        axes.text(x + reach * 0.04, y, scene.height, fontsize=size)
    axes.set_aspect("equal")
    axes.margins(0.2)
    axes.axis("off")
    return _finish(figure)


def _mpl_shapes(scene: ShapesScene, rng: random.Random) -> Image.Image:
    from matplotlib import patches

    figure, axes = _figure(rng, ((5, 3.5), (6, 4)))
    wide = figure.get_figwidth() / figure.get_figheight()
    for shape in scene.shapes:
        x, y, r = shape.x * wide, 1 - shape.y, shape.size
        kind = KINDS[shape.kind][0]
        corners = {"triangle": 3, "diamond": 4, "pentagon": 5, "hexagon": 6}
        if kind in ("circle", "oval"):
            patch: Any = patches.Ellipse((x, y), 2 * r, 2 * r * (1 if kind == "circle" else 0.55))
        elif kind in ("square", "rectangle"):
            tall = r * (1.6 if kind == "square" else 0.9)
            patch = patches.Rectangle((x - r * 0.8, y - tall / 2), r * 1.6, tall)
        elif kind == "star":
            angles = np.pi / 2 + np.arange(10) * np.pi / 5
            radii = np.where(np.arange(10) % 2 == 0, r, 0.42 * r)[:, None]
            patch = patches.Polygon(np.stack([np.cos(angles), np.sin(angles)], 1) * radii + (x, y))
        else:
            patch = patches.RegularPolygon((x, y), corners[kind], radius=r)
        patch.set_facecolor(COLORS[shape.color][0])
        axes.add_patch(patch)
    axes.set_xlim(0, wide)
    axes.set_ylim(0, 1)
    axes.axis("off")
    return _finish(figure)


_MATPLOTLIB: dict[str, Any] = {
    "table": _mpl_table, "chart": _mpl_chart, "graph": _mpl_graph, "polygon": _mpl_polygon,
    "shapes": _mpl_shapes,
}  # fmt: skip


# ---------------------------------------------------------------------- HTML
_COLLAPSE = "table{border-collapse:collapse} td,th"
_STYLES = (
    _COLLAPSE + "{border:1px solid #333;padding:6px 14px;text-align:center}",
    _COLLAPSE + "{border:1px solid #bbb;padding:4px 10px;text-align:center} th{background:#eee}",
    _COLLAPSE + "{border-bottom:1px solid #ccc;padding:5px 16px;text-align:right}",
    _COLLAPSE + "{padding:5px 14px;text-align:center} thead{border-bottom:2px solid #000}",
)


def find_chromium() -> str | None:
    return shutil.which("chromium") or shutil.which("google-chrome")


def _page(scene: TableScene, title: str, rng: random.Random) -> str:
    head, rows = _cells(scene, rng.choice("-−−"), rng.choice("'′’"))
    font = rng.choice(
        ["Times New Roman", "Arial", "Georgia", "Courier New", "sans-serif", "serif", "Verdana"]
    )
    cells = "".join("<tr>" + "".join(f"<td>{c}</td>" for c in row) + "</tr>" for row in rows)
    top = "".join(f"<th>{h}</th>" for h in head)
    return (
        "<!doctype html><meta charset=utf-8><style>body{margin:12px;background:#fff;"
        f"font:{rng.choice([14, 16, 16, 18, 20])}px {font!r}}} p{{margin:4px 0 8px}} "
        f"{rng.choice(_STYLES)}</style>"
        + (f"<p>{title}</p>" if title else "")
        + f"<table><thead><tr>{top}</tr></thead><tbody>{cells}</tbody></table>"
    )


def _shoot(page: str) -> Image.Image:
    """A page as a headless browser shows it, cut to its content."""
    with tempfile.TemporaryDirectory() as scratch:
        source, shot = Path(scratch) / "page.html", Path(scratch) / "page.png"
        source.write_text(page, encoding="utf-8")
        subprocess.run(
            [str(find_chromium()), "--headless", "--no-sandbox", "--disable-gpu",
            "--hide-scrollbars",
             f"--user-data-dir={scratch}/profile", "--window-size=700,500", f"--screenshot={shot}",
             source.as_uri()],
            capture_output=True, timeout=90, check=True,
        )  # fmt: skip
        image = Image.open(shot).convert("RGB")
    ink = np.argwhere((np.asarray(image) < 250).any(2))
    bottom, right = ink.max(0) + 13
    return image.crop((0, 0, min(700, int(right)), min(500, int(bottom))))


def html_set(seed: int, n: int) -> Iterator[Drawn]:
    """Tables of functions in a browser; the definition stands on the page in a third of them."""
    rng = random.Random(seed)
    n_done = 0
    while n_done < n:
        scene, language = make_table(rng), "en" if n_done % 4 else "zh"
        d = scene.define(rng)
        if scene.transposed or d is None:
            continue
        n_done += 1
        title = (
            rng.choice(("Let ", "", "Given ")) + d.equation(" · ") if rng.random() < 0.33 else ""
        )
        ask = scene.exchange_from_picture if title else scene.exchange
        yield "table", ask(d, rng, language), _shoot(_page(scene, title, rng))  # type: ignore[arg-type]


# ---------------------------------------------------------------------- the published example
_ASKS = (
    "Given $h(x) = f(x) \\cdot g(x)$, find $h'(2)$ using the table below:",
    "Given h(x) = f(x) * g(x), find h'(2)",
    "Given h(x) = f(x)g(x), what is h'(2)?", "If h(x)=f(x)*g(x), compute h'(2).",
    "已知 h(x) = f(x) · g(x)，求 h'(2)。",
    "The table above gives values of the functions f and g and their derivatives. Let "
    "h(x) = f(x)g(x). Find h'(2).",
)  # fmt: skip


def published_set(studio: Studio, seed: int, n: int = 30) -> Iterator[Drawn]:
    """QVQ's own page in many renderings: h'(2) of h = f g.

    f(2) = -3, f'(2) = -8, g(2) = 1, g'(2) = 7.
    """
    rng = random.Random(seed)
    for i in range(n):
        columns: tuple[Column, ...] = (("f", False), ("f", True), ("g", False), ("g", True))
        values = {c: {x: rng.randint(-12, 12) for x in range(-2, 3)} for c in columns}
        values["g", False] |= {-2: -11, -1: -2, 0: -1, 1: -2, 2: 1}
        for column, value in zip(columns, (-3, -8, 1, 7), strict=True):
            values[column][2] = value
        if i % 4 == 3:
            columns = (columns[0], columns[2], columns[1], columns[3])
        scene = TableScene((-2, -1, 0, 1, 2), columns, values, ("f", "g"), i % 7 == 6)
        definition = Definition("product", "h", "f", "g", 2)
        exchange = scene.exchange(definition, rng, "zh" if "已知" in _ASKS[i % 6] else "en")
        exchange = Exchange(
            _ASKS[i % 6], exchange.reasoning, exchange.answer, exchange.language, "table"
        )
        if i % 3 == 0 and not scene.transposed:
            image = _mpl_table(scene, rng)
        elif i % 3 == 1 and find_chromium() and not scene.transposed:
            image = _shoot(_page(scene, "", rng))
        else:
            size = rng.choice(((336, 224), (420, 280), (532, 364)))
            image = Image.fromarray(studio.draw(scene, *size, rng, plain=True).pixels)
        yield "published example", exchange, image
