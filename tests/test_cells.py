"""No text of strangers begins as a formula does, and all of it can be read back."""

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from wslabel.cells import HEAD, guarded, unguarded

ODD = st.text(st.sampled_from("'=+-@a\t\r\n\uff1d "))
TEXTS = st.lists(st.none() | ODD | st.text(), max_size=9)


def laid_out(texts: list[str | None]) -> pa.Table:
    cells = pa.array(texts, pa.string())
    return pa.table([cells] * len(HEAD), list(HEAD))


@given(TEXTS)
@settings(deadline=None)  # Arrow takes its time once
def test_ids_come_back_as_they_were(texts: list[str | None]) -> None:
    table = guarded(laid_out(texts))
    assert not any(text[0] in "=+-@\t\r" for text in table["image_id"].to_pylist() if text)
    assert unguarded(table, HEAD).equals(laid_out(texts))
    assert unguarded(table.select(["uri"]), HEAD).equals(laid_out(texts).select(["uri"]))


def test_of_other_tables_nothing_is_taken_away() -> None:
    others = laid_out(["'=1"]).rename_columns([*HEAD[:4], "other"])
    assert unguarded(others, others.column_names).equals(others)
    numbers = pa.table([pa.array([-1])] * len(HEAD), list(HEAD))
    assert unguarded(numbers, HEAD).equals(numbers)
