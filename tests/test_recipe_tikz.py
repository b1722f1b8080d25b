"""What LaTeX is given to draw: all that a scene shows, at its places."""

import random
import re

import pytest

pytest.importorskip("regex")
pytest.importorskip("numpy")

from recipe.families.charts import ChartScene
from recipe.families.graphs import make_graph
from recipe.families.polygon_making import make_polygon
from recipe.families.tables import column_name, make_table
from recipe.tikz import find_latex, source_of, typeset


@pytest.mark.parametrize("seed", range(20))
def test_a_table_has_every_entry(seed: int) -> None:
    rng = random.Random(seed)
    scene = make_table(rng)
    rows = [line.split("&") for line in source_of(scene, rng).splitlines() if "&" in line]
    cells = [[re.findall(r"\$(.*?)\$", cell)[0] for cell in row] for row in rows]
    assert cells[0] == ["x", *(f"{column_name(column)}(x)" for column in scene.columns)]
    expected = [[x, *(scene.values[column][x] for column in scene.columns)] for x in scene.xs]
    assert [[int(cell) for cell in row] for row in cells[1:]] == expected


@pytest.mark.parametrize("kind", ["bars", "line"])
def test_a_chart_is_as_high_as_its_values(kind: str) -> None:
    scene = ChartScene(("Tea", "Milk"), (30, 15), kind, 10, 30, is_labelled=True)
    source = source_of(scene, random.Random(0))
    tops = re.findall(r"\\node\[above\] at \([\d.]+,([\d.]+)\) \{(\d+)\}", source)
    assert tops == [("6.000", "30"), ("3.000", "15")]
    assert all(f"{{\\small {name}}}" in source for name in scene.names)


@pytest.mark.parametrize("seed", range(20))
def test_a_polygon_has_all_that_is_written(seed: int) -> None:
    scene = make_polygon(random.Random(seed))
    source = source_of(scene, random.Random(0))
    written = re.findall(r"\\node at \(.*?\) \{(.*)\};", source)
    expected = [*(f"${name}$" for name in scene.names), *scene.sides, *scene.angles, scene.height]
    assert written == [text.replace("°", "$^\\circ$") for text in expected if text]


@pytest.mark.parametrize("seed", range(20))
def test_a_graph_runs_through_its_points(seed: int) -> None:
    scene = make_graph(random.Random(seed))
    found = re.search(r"plot \(\\x,\{(.*)\}\)", source_of(scene, random.Random(0)))
    assert found is not None
    formula = found[1].replace("\\x", "x").replace("^", "**")
    for x, y in scene.lattice():
        assert eval(formula, {"x": x}) == pytest.approx(y, abs=1e-4)


@pytest.mark.skipif(find_latex() is None, reason="LaTeX with TikZ is not installed")
def test_latex_draws_it() -> None:
    rng = random.Random(1)
    image = typeset(source_of(make_graph(rng), rng), rng)
    assert min(image.size) > 100
    assert min(image.convert("L").getextrema()) < 128
