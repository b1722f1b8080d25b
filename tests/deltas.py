"""Hypothesis strategies for text that arrives in pieces."""

from hypothesis import strategies as st


@st.composite
def cut_up(draw: st.DrawFn, texts: st.SearchStrategy[str]) -> list[str]:
    """A text as a list of one or more deltas, some of them perhaps empty."""
    text = draw(texts)
    cuts = draw(st.lists(st.integers(0, len(text)), max_size=12).map(sorted))
    return [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]


def made_of(*pieces: str, max_size: int = 14) -> st.SearchStrategy[str]:
    """Texts put together from the given pieces, in any order."""
    return st.lists(st.sampled_from(pieces), max_size=max_size).map("".join)
