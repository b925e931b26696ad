"""Columns are as wide as they must be, and folding loses nothing."""

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from wslabel.report.layout import GAP, Shape, blocks, folded, shape, widths

WORDS = st.text(alphabet="ab._-/ ", min_size=1, max_size=80)


@given(WORDS, st.integers(1, 40))
def test_folding_keeps_every_letter_and_the_width(text: str, width: int) -> None:
    lines = folded(text, width).splitlines()
    assert all(cell_len(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


@given(
    st.lists(st.tuples(st.integers(1, 24), st.integers(0, 60)), min_size=2), st.integers(56, 200)
)
def test_blocks_hold_every_column_once_and_fit(sizes: list[tuple[int, int]], width: int) -> None:
    shapes = [Shape(least, least + more) for least, more in sizes]
    found = list(blocks(shapes, 1, width))
    assert [column for block in found for column in block[1:]] == list(range(1, len(shapes)))
    assert all(block[0] == 0 for block in found)
    for block in found:
        own = widths([shapes[column] for column in block], width)
        assert sum(own) + GAP * (len(own) - 1) <= width
        assert all(w >= shapes[column].least for w, column in zip(own, block, strict=True))


def test_a_number_is_never_narrower_than_it_is_long() -> None:
    assert shape("p", ["0.9884 ± 0.0021"], is_number=True) == Shape(15, 15)
    assert shape("", [], is_number=False) == Shape(0, 0)
    assert folded("", 5) == ""
