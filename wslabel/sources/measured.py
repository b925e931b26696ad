"""Manifests of strangers, read so that what they take of the memory is known before it is taken.

A few kilobytes of gzip or Parquet may stand for gigabytes. So of a Parquet file only the columns
that are asked for are read, batch by batch, with each text held once; what it all comes to is
counted on the way. There is no limit but the machine's memory: what it holds is read.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from wslabel.errors import SourceError, nearest
from wslabel.storage.plain import has_added_types

SHARE = 0.75
"""Of the machine's memory, what listing may take."""

COPIES, ROW_BYTES = 2, 200
"""What listing takes for each byte of a table and, beside that, for each of its rows."""

ROWS, NESTED_ROWS = 2**16, 2**10
"""Rows of a Parquet file that are looked at together; Arrow writes the texts in lists out first."""

PIECE = 2**22
"""Bytes of a packed file that are unpacked at a time."""

CGROUP = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""Where a container's limit stands, by the version of cgroups."""


def memory_bytes() -> int:
    """Tell how much memory this machine, or the container that this runs in, has."""
    sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for path in map(Path, CGROUP):
        text = path.read_text().strip() if path.exists() else ""
        sizes += [int(text)] if text.isdecimal() else []
    return min(sizes)


def refuse_large(num_bytes: int, num_rows: int, where: str) -> None:
    """Refuse a table that this machine's memory does not hold.

    Raises:
        SourceError: it does not.
    """
    need, there = COPIES * num_bytes + ROW_BYTES * num_rows, memory_bytes()
    if need > SHARE * there:
        rows = f"its {num_rows:,} rows take" if num_rows else "it takes"
        raise SourceError(
            f"{where}: unpacked, {rows} {_gib(need)} GiB or more to list, and this machine has "
            f"{_gib(there)}; cut it into several tables, or take a larger machine"
        )


def _gib(num_bytes: float) -> str:
    return f"{num_bytes / 2**30:,.1f}"


def unpacked(stream: pa.NativeFile, where: str) -> pa.Buffer:
    """Read a stream to its end, as far as this machine's memory holds a table of so many bytes.

    Raises:
        SourceError: there is more.
    """
    sink, size = pa.BufferOutputStream(), 0
    while piece := stream.read(PIECE):
        size += len(piece)
        refuse_large(2 * size, 0, where)  # the text, and the table that it becomes
        sink.write(piece)
    return sink.getvalue()


def read_parquet(data: pa.Buffer, names: Sequence[str], where: str) -> pa.Table:
    """Read some columns of a Parquet file.

    Raises:
        SourceError: this machine's memory does not hold them, one is not there, or the file has
            types that are none of Arrow's own.
    """
    source = pa.BufferReader(data)
    footer = pq.read_metadata(source)
    if has_added_types(footer):
        raise SourceError(
            f"{where}: has columns of a type that some library has added to Arrow's own; write it "
            "with plain types"
        )
    schema = footer.schema.to_arrow_schema()
    refuse_absent(names, schema.names, where)
    wanted = pa.schema([schema.field(name) for name in dict.fromkeys(names)])
    texts = _refuse_large_by_footer(footer, set(wanted.names), where)
    file = pq.ParquetFile(source, metadata=footer, read_dictionary=texts)
    batches, num_bytes, num_rows = [], 0, 0
    num_together = NESTED_ROWS if any(map(pa.types.is_nested, wanted.types)) else ROWS
    for batch in file.iter_batches(num_together, columns=wanted.names):
        batch.validate(full=True)
        columns = [batch.column(name) for name in wanted.names]
        num_bytes += sum(map(_expanded, columns))
        num_rows += batch.num_rows
        refuse_large(num_bytes, num_rows, where)
        plain = map(_plain, columns, wanted.types)
        batches.append(pa.RecordBatch.from_arrays(list(plain), schema=wanted))
    return pa.Table.from_batches(batches, wanted)


def refuse_absent(names: Sequence[str], known: Sequence[str], where: str) -> None:
    """Refuse names that are not those of just one column.

    Raises:
        SourceError: the first such name.
    """
    for name in names:
        times = known.count(name)
        if times > 1:
            raise SourceError(f"{where}: {times} columns are called '{name}'")
        if not times:
            raise SourceError(f"{where}: there is no column '{name}'; {nearest(name, known)}")


def _refuse_large_by_footer(footer: pq.FileMetaData, names: set[str], where: str) -> list[str]:
    """Refuse what is too large by its own word; name the columns of texts among those asked for."""
    num_bytes, texts = 0, {}
    for number in range(footer.num_row_groups):
        group = footer.row_group(number)
        for index in range(group.num_columns):
            column = group.column(index)
            path = column.path_in_schema
            if path not in names and path.partition(".")[0] not in names:
                continue
            num_bytes += max(column.total_uncompressed_size, 4 * column.num_values)
            if path in names and column.physical_type == "BYTE_ARRAY":
                texts[path] = True
    refuse_large(num_bytes, footer.num_rows, where)
    return list(texts)


def _expanded(array: pa.Array) -> int:
    """Count the bytes of an array once each of its texts is written out."""
    if pa.types.is_dictionary(array.type):
        sizes = pc.binary_length(array.dictionary).cast(pa.int64()).take(array.indices)
        return int(pc.sum(sizes).as_py() or 0) + 4 * len(array)
    return int(array.nbytes)


def _plain(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """Write each text of a column out, unless the column is one of a few texts by its own type."""
    is_dictionary = pa.types.is_dictionary(column.type) and not pa.types.is_dictionary(kind)
    return (column.dictionary_decode() if is_dictionary else column).cast(kind)
