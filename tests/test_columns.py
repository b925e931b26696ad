"""Between Arrow columns and arrays nothing is lost, nulls included."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from wslabel import schema
from wslabel.columns import batches, known_column, to_array, to_column
from wslabel.config.preprocess import Preprocess
from wslabel.features.classifier import ClassifierConfig
from wslabel.features.color import COLUMNS
from wslabel.features.model_info import ModelInfo
from wslabel.features.thumbnail import ThumbnailConfig

CLASSIFIER = ClassifierConfig(kind="classifier", top_k=3, embedding=True)

FIELDS = {
    str(field.type): field
    for fields in (
        schema.IMAGES,
        COLUMNS,
        ThumbnailConfig(kind="thumbnail").columns(None),
        schema.feature_table(CLASSIFIER.columns(ModelInfo(Preprocess(), (), 4))),
        schema.votes(["blue"]),
        schema.labels(2),
        schema.predictions(3),
    )
    for field in fields
}
"""One field of every type that stands in some table."""


def dtype_of(kind: pa.DataType) -> np.dtype[Any]:
    inner = kind.value_type if pa.types.is_fixed_size_list(kind) else kind
    numeric = pa.types.is_integer(inner) or pa.types.is_floating(inner)
    return np.dtype(inner.to_pandas_dtype() if numeric else object)


@st.composite
def spread(draw: st.DrawFn, kind: pa.DataType) -> tuple[Any, np.ndarray, int]:
    """Values of some rows, which rows they are, and of how many."""
    num_rows = draw(st.integers(0, 12))
    chosen = draw(st.sets(st.integers(0, num_rows - 1))) if num_rows else set()
    rows = np.array(sorted(chosen), np.int64)
    dtype = dtype_of(kind)
    if dtype.kind == "O":
        texts = st.binary(max_size=4) if pa.types.is_binary(kind) else st.text(max_size=4)
        return [draw(texts) for _ in rows], rows, num_rows
    shape = (len(rows), kind.list_size) if pa.types.is_fixed_size_list(kind) else len(rows)
    numbers = (
        st.floats(width=dtype.itemsize * 8, allow_nan=False)  # type: ignore[arg-type]
        if dtype.kind == "f"
        else st.integers(0, int(np.iinfo(dtype).max))
    )
    return draw(arrays(dtype, shape, elements=numbers)), rows, num_rows


def assert_same(array: np.ndarray, values: Any, rows: np.ndarray, kind: pa.DataType) -> None:
    dtype = dtype_of(kind)
    assert array.dtype == dtype
    is_null = np.ones(len(array), bool)
    is_null[rows] = False
    if dtype.kind == "O":
        assert list(array[rows]) == list(values)
        assert all(value is None for value in array[is_null])
        return
    assert np.array_equal(array[rows], values)
    missing = array[is_null]
    assert np.isnan(missing).all() if dtype.kind == "f" else (missing == -1).all()


@pytest.mark.parametrize("kind", FIELDS)
@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_values_and_nulls_come_back(kind: str, data: st.DataObject) -> None:
    field = FIELDS[kind]
    values, rows, num_rows = data.draw(spread(field.type))
    column = to_column(values, rows, num_rows, field)
    assert column.type == field.type
    assert len(column) == num_rows
    assert column.null_count == num_rows - len(rows)
    assert_same(to_array(column), values, rows, field.type)


@pytest.mark.parametrize("kind", FIELDS)
@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_they_come_back_from_a_file(kind: str, data: st.DataObject) -> None:
    field = FIELDS[kind].with_nullable(True)
    values, rows, num_rows = data.draw(spread(field.type))
    table = pa.table([to_column(values, rows, num_rows, field)], schema=pa.schema([field]))
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, row_group_size=5)
    read = pq.read_table(pa.BufferReader(sink.getvalue())).column(0)
    assert_same(to_array(read), values, rows, field.type)


@pytest.mark.parametrize("kind", FIELDS)
@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_a_slice_is_the_slice_of_the_array(kind: str, data: st.DataObject) -> None:
    field = FIELDS[kind]
    values, rows, num_rows = data.draw(spread(field.type))
    column = to_column(values, rows, num_rows, field)
    start = data.draw(st.integers(0, num_rows))
    length = data.draw(st.integers(0, num_rows - start))
    whole, part = to_array(column), to_array(column.slice(start, length))
    equal_nan = dtype_of(field.type).kind == "f"
    assert np.array_equal(part, whole[start : start + length], equal_nan=equal_nan)


@pytest.mark.parametrize("kind", FIELDS)
@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_chunks_are_one_column(kind: str, data: st.DataObject) -> None:
    field = FIELDS[kind]
    values, rows, num_rows = data.draw(spread(field.type))
    column = to_column(values, rows, num_rows, field)
    cut = data.draw(st.integers(0, num_rows))
    chunked = pa.chunked_array([column[:cut], column[cut:]])
    assert_same(to_array(chunked), values, rows, field.type)
    assert len(to_array(pa.chunked_array([], field.type))) == 0


def test_numbers_are_rounded_to_the_type_of_the_column() -> None:
    column = to_column(
        np.array([[0.1, 0.2]]), np.array([0]), 2, pa.field("x", pa.list_(pa.float16(), 2))
    )
    assert np.array_equal(to_array(column)[0], np.array([0.1, 0.2], np.float16))


def test_values_that_are_not_known_become_null() -> None:
    field = pa.field("x", schema.vector(pa.float32(), 2))
    values_N2, known_N = np.arange(6).reshape(3, 2), np.array([True, False, True])
    column = known_column(values_N2, known_N, field)
    assert column.type == field.type
    assert column.to_pylist() == [[0.0, 1.0], None, [4.0, 5.0]]


def test_a_value_for_every_row_is_needed() -> None:
    field = pa.field("x", pa.int16())
    with pytest.raises(ValueError, match="shorter"):
        to_column([1], np.array([0, 2]), 3, field)
    with pytest.raises(ValueError, match="shape"):
        to_column(np.ones((3, 2)), np.array([0, 2]), 4, pa.field("x", pa.list_(pa.int16(), 2)))


@given(st.integers(0, 30), st.integers(1, 12))
def test_batches_cut_without_loss(length: int, size: int) -> None:
    cut = list(batches(np.arange(length), size))
    assert np.array_equal(np.concatenate([np.arange(0), *cut]), np.arange(length))
    assert all(len(batch) == size for batch in cut[:-1])
    assert all(1 <= len(batch) <= size for batch in cut)
