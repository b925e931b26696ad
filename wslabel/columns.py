"""Between Arrow columns and numpy arrays, nulls included."""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa


def to_column(
    values: np.ndarray | Sequence[object], rows: np.ndarray, num_rows: int, field: pa.Field
) -> pa.Array:
    """Spread the values of some rows over all rows; the others become null.

    Args:
        values: one entry (a scalar or a vector) per row of `rows`.
        rows: row numbers, ascending.
        num_rows: Rows of the column.
        field: its name and type.
    """
    if pa.types.is_fixed_size_list(field.type):
        return _to_lists(np.asarray(values), rows, num_rows, field.type)
    if len(rows) == num_rows:
        return pa.array(values, field.type)
    spread: list[object] = [None] * num_rows
    for row, value in zip(rows.tolist(), values, strict=True):
        spread[row] = value
    return pa.array(spread, field.type)


def known_column(values: np.ndarray, known_N: np.ndarray, field: pa.Field) -> pa.Array:
    """Make a column of the values that are known; the others become null."""
    rows = np.flatnonzero(known_N)
    return to_column(values[rows], rows, len(values), field)


def _to_lists(
    values_ND: np.ndarray, rows: np.ndarray, num_rows: int, kind: pa.DataType
) -> pa.Array:
    inner = kind.value_type.to_pandas_dtype()
    full = np.zeros((num_rows, kind.list_size), inner)
    if len(rows):
        full[rows] = values_ND
    is_null = np.ones(num_rows, bool)
    is_null[rows] = False
    flat = pa.array(full.reshape(-1))
    mask = pa.array(is_null) if is_null.any() else None
    return pa.FixedSizeListArray.from_arrays(flat, type=kind, mask=mask)


def to_array(column: pa.ChunkedArray | pa.Array) -> np.ndarray:
    """Turn a column into an array; nulls are NaN in floats, -1 in integers, None in objects."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    if pa.types.is_fixed_size_list(column.type):
        return _from_lists(column)
    if pa.types.is_integer(column.type) and column.null_count:
        column = column.fill_null(-1)
    if pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
        return np.asarray(column.to_numpy(zero_copy_only=False))
    return np.asarray(column.to_numpy(zero_copy_only=False), object)


def _from_lists(column: pa.Array) -> np.ndarray:
    size = column.type.list_size
    flat = column.values.slice(column.offset * size, len(column) * size)
    if pa.types.is_integer(flat.type) and flat.null_count:
        flat = flat.fill_null(-1)  # else numpy would get floats
    values = np.asarray(flat.to_numpy(zero_copy_only=False)).reshape(len(column), size)
    if not column.null_count:
        return values
    values = values.copy()
    missing = np.nan if np.issubdtype(values.dtype, np.floating) else -1
    values[np.asarray(column.is_null())] = missing
    return values


def batches(values: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Cut an array into mini-batches along its first axis."""
    for start in range(0, len(values), size):
        yield values[start : start + size]
