"""Parquet files of strangers: what reading a column takes is counted before it is taken.

A text may be stored as "entry 3 of the dictionary", or as "the one before it and one letter more",
a list as "a million times the same", a row of nothing as a thousand zeros. So the pages are
measured by their headers first, dictionaries are kept as such until the texts are counted, and
where each text may be as long as a whole page, few are read at a time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from wslabel.errors import SourceError
from wslabel.sources import measured
from wslabel.sources.parquet_pages import COUNTING, check_count, pages
from wslabel.storage.plain import has_added_types

ROWS = 2**16
"""Rows that are looked at together, at most."""

TOGETHER = 1 / 4
"""Of what a table may take, what such rows may take before they are counted."""


@dataclass
class Plan:
    """How columns are read.

    Attributes:
        coded: Paths of the texts that are read as dictionaries.
        longest: Bytes that one row of all other texts may take.
    """

    coded: list[str] = field(default_factory=list)
    longest: int = 0


def read_parquet(data: pa.Buffer, names: Sequence[str], where: str) -> pa.Table:
    """Read some columns of a Parquet file.

    Raises:
        SourceError: this machine's memory does not hold them, one is not there, its size cannot be
            known before, or the file has types that are none of Arrow's own.
    """
    source = pa.BufferReader(data)
    footer = pq.read_metadata(source)
    if has_added_types(footer):
        raise SourceError(
            f"{where}: has columns of a type that some library has added to Arrow's own; write it "
            "with plain types"
        )
    schema = footer.schema.to_arrow_schema()
    measured.refuse_absent(names, schema.names, where)
    wanted = pa.schema([schema.field(name) for name in dict.fromkeys(names)])
    plan = _planned(memoryview(data).cast("B"), footer, wanted, where)
    file = pq.ParquetFile(source, metadata=footer, read_dictionary=plan.coded)
    room = int(measured.table_bytes() * TOGETHER)
    num_together = max(1, min(ROWS, room // max(1, plan.longest)))
    batches, num_bytes, num_rows = [], 0, 0
    for batch in _batches(file, num_together, wanted.names):
        batch.validate(full=True)
        columns = [batch.column(name) for name in wanted.names]
        num_bytes += sum(map(_expanded, columns))
        num_rows += batch.num_rows
        measured.refuse_large(num_bytes, num_rows, where)
        plain = map(_plain, columns, wanted.types)
        batches.append(pa.RecordBatch.from_arrays(list(plain), schema=wanted))
    return pa.Table.from_batches(batches, wanted)


def _batches(file: pq.ParquetFile, num_rows: int, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Read by groups of rows, each of which has dictionaries of its own, which lists cannot mix."""
    for number in range(file.num_row_groups):
        yield from file.iter_batches(num_rows, row_groups=[number], columns=names)


def _planned(data: memoryview, footer: pq.FileMetaData, wanted: pa.Schema, where: str) -> Plan:
    """Measure the columns that are asked for, and say how each is read.

    Raises:
        SourceError: they are too large, or what one comes to is only known once it is read.
    """
    plan, num_bytes = Plan(), 0
    for index in range(footer.num_columns):
        path = footer.schema.column(index).path
        for column in wanted:
            if path == column.name or path.startswith(f"{column.name}."):
                leaf = _measured(data, footer, index, column.type)
                num_bytes += leaf.num_bytes
                measured.refuse_large(num_bytes, footer.num_rows, where)
                _check(data, footer, index, leaf)
                _take(plan, leaf, where)
    return plan


@dataclass
class Leaf:
    """What the pages of a column, or of one field of a nested one, come to.

    Attributes:
        path: Path of the column.
        is_text: Whether its values have any length.
        is_nested: Whether it is a field of a nested column.
        num_bytes: Bytes that it takes, but for texts that are stored once and said often.
        largest_page: Bytes of the largest page.
        encodings: Names of the encodings of its pages.
    """

    path: str
    is_text: bool
    is_nested: bool
    num_bytes: int = 0
    largest_page: int = 0
    encodings: set[str] = field(default_factory=set)


def _measured(data: memoryview, footer: pq.FileMetaData, index: int, kind: pa.DataType) -> Leaf:
    schema = footer.schema.column(index)
    is_text = schema.physical_type == "BYTE_ARRAY"
    leaf = Leaf(schema.path, is_text, pa.types.is_nested(kind))
    # A list has an offset, and a fixed one all its values even where it is null.
    each = max(4, _width(kind)) + 8 * schema.max_repetition_level
    for number in range(footer.num_row_groups):
        group = footer.row_group(number)
        leaf.num_bytes += group.num_rows * _fixed(kind)
        for page in pages(data, group.column(index)):
            of_values = (16 if page.is_dictionary else each) * page.num_values
            leaf.num_bytes += max(page.num_bytes, of_values)
            leaf.largest_page = max(leaf.largest_page, page.num_bytes)
            leaf.encodings |= set() if page.is_dictionary else {page.encoding}
    return leaf


def _width(kind: pa.DataType) -> int:
    """Count the bytes of the widest value within a type; texts count nothing."""
    if pa.types.is_nested(kind):
        return max((_width(kind.field(i).type) for i in range(kind.num_fields)), default=0)
    try:
        return int(kind.bit_width) // 8
    except ValueError:
        return 0


def _fixed(kind: pa.DataType) -> int:
    """Count the bytes that a row takes by its type alone, in lists of a fixed size."""
    if not pa.types.is_nested(kind):
        return 0
    inner = [kind.field(i).type for i in range(kind.num_fields)]
    if pa.types.is_fixed_size_list(kind):
        return int(kind.list_size) * max(4, _width(inner[0]) + _fixed(inner[0]))
    return sum(map(_fixed, inner))


def _check(data: memoryview, footer: pq.FileMetaData, index: int, leaf: Leaf) -> None:
    """Unpack what counts its values itself; that it fits is known."""
    if leaf.encodings & COUNTING:
        for number in range(footer.num_row_groups):
            column = footer.row_group(number).column(index)
            for page in pages(data, column):
                if page.encoding in COUNTING:
                    check_count(page, column, footer.schema.column(index))


def _take(plan: Plan, leaf: Leaf, where: str) -> None:
    """Choose how a column is read.

    Raises:
        SourceError: no way bounds what it takes.
    """
    is_coded = any("DICTIONARY" in encoding for encoding in leaf.encodings)
    if leaf.is_text and not leaf.encodings & COUNTING:
        plan.coded.append(leaf.path)  # Arrow has no dictionaries of what the other two hold
    elif not leaf.is_nested:
        plan.longest += leaf.largest_page if leaf.encodings & COUNTING else 0
    elif "DELTA_BYTE_ARRAY" in leaf.encodings or (is_coded and leaf.is_text):
        found = ", ".join(sorted(leaf.encodings))
        raise SourceError(
            f"{where}: texts in the nested column '{leaf.path}' are coded as {found}, which may "
            "hold any number of bytes; write the column with a dictionary, or as PLAIN"
        )


def _expanded(array: pa.Array) -> int:
    """Count the bytes of an array once each of its texts is written out."""
    kind = array.type
    if pa.types.is_dictionary(kind):
        sizes = pc.binary_length(array.dictionary).cast(pa.int64()).take(array.indices)
        return int(pc.sum(sizes).as_py() or 0) + 4 * len(array)
    if pa.types.is_struct(kind):
        return sum(map(_expanded, array.flatten()))
    if pa.types.is_nested(kind):
        return _expanded(_elements(array)) + 8 * len(array)
    return int(array.nbytes)


def _elements(array: pa.Array) -> pa.Array:
    """Give what stands in the lists of an array, which may be a part of a longer one."""
    if pa.types.is_fixed_size_list(array.type):
        size = array.type.list_size
        return array.values.slice(array.offset * size, len(array) * size)
    start, end = array.offsets[0].as_py(), array.offsets[-1].as_py()
    return array.values.slice(start, end - start)


def _plain(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """Write each text of a column out, unless the column is one of a few texts by its own type."""
    is_dictionary = pa.types.is_dictionary(column.type) and not pa.types.is_dictionary(kind)
    if is_dictionary:
        column = column.dictionary_decode()
    elif pa.types.is_nested(kind) and column.type != kind:
        column = column.cast(_without_views(kind))  # Arrow casts no dictionary to these
    return column.cast(kind)


def _without_views(kind: pa.DataType) -> pa.DataType:
    """Replace the types of texts that Arrow casts no dictionary to, within a type."""
    if pa.types.is_string_view(kind) or pa.types.is_binary_view(kind):
        return pa.string() if pa.types.is_string_view(kind) else pa.binary()
    if not pa.types.is_nested(kind):
        return kind
    fields = [kind.field(i) for i in range(kind.num_fields)]
    fields = [field.with_type(_without_views(field.type)) for field in fields]
    if pa.types.is_struct(kind):
        return pa.struct(fields)
    if pa.types.is_map(kind):
        return pa.map_(*fields[0].type, kind.keys_sorted)
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(fields[0], kind.list_size)
    return (pa.large_list if pa.types.is_large_list(kind) else pa.list_)(fields[0])
