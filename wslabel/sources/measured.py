"""Manifests of strangers, read so that what they take of the memory is known before it is taken.

A few kilobytes of gzip or Parquet may stand for gigabytes. So of a Parquet file only the columns
that are asked for are read, batch by batch, with each text held once; what it all comes to is
counted on the way. There is no limit but the machine's memory: what it holds is read.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from wslabel.errors import SourceError, nearest

SHARE = 0.75
"""Of the machine's memory, what listing may take."""

COPIES, ROW_BYTES = 2, 200
"""What listing takes for each byte of a table and, beside that, for each of its rows."""

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


def table_bytes() -> int:
    """Tell how many bytes a table may have that this machine's memory holds."""
    return int(SHARE * memory_bytes() / COPIES)


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
