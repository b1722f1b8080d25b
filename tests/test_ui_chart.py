"""Bar charts as SVG: well-formed whatever a label holds, and true to scale."""

from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from qvq_cli.ui.chart import Bar, Chart, draw_charts

SVG = "{http://www.w3.org/2000/svg}"


def drawn(*bars: Bar, title: str = "title", notes: tuple[str, ...] = ()) -> ElementTree.Element:
    return ElementTree.fromstring(draw_charts(title, [Chart("heading", "caption", bars)], notes))


def rectangles(root: ElementTree.Element, tone: str) -> list[float]:
    """Widths of the bars of a tone."""
    return [float(r.attrib["width"]) for r in root.iter(f"{SVG}rect") if r.get("class") == tone]


@given(st.text(), st.floats(0, 1e12))
def test_any_text_and_any_value_make_a_picture(text: str, value: float) -> None:
    root = drawn(Bar(text, value, text, part=value / 2), title=text, notes=(text,))
    assert root.tag == f"{SVG}svg"
    assert all(0 < width < 760 for width in rectangles(root, "bar"))


def test_bars_share_a_scale() -> None:
    root = drawn(Bar("a", 10, "ten"), Bar("b", 5, "five", part=2.5), Bar("c", 2, "2", is_pale=True))
    longest, half = rectangles(root, "bar")
    assert half * 2 == longest
    assert rectangles(root, "part") == [half / 2]
    assert len(rectangles(root, "pale")) == 1


def test_markup_stays_text_and_everything_is_inside() -> None:
    root = drawn(Bar("<b>&", 1, '"x"'), notes=("one", "two"))
    texts = [element.text for element in root.iter(f"{SVG}text")]
    assert texts == ["title", "heading", "caption", "<b>&", '"x"', "one", "two"]
    bottom = max(float(element.attrib["y"]) for element in root.iter(f"{SVG}text"))
    assert bottom < float(root.attrib["height"])


def test_without_charts_there_is_still_a_title() -> None:
    root = ElementTree.fromstring(draw_charts("only this", [], []))
    assert [element.text for element in root.iter(f"{SVG}text")] == ["only this"]
