"""CSV files of strangers: what the columns that are asked for take is counted before it is taken.

An empty cell is one byte of text and eight of a column of numbers, and a file may have a million
columns. So only those that are asked for become columns, and first block by block, to count them.
"""

import csv
import io
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.csv as pacsv

from wslabel.cells import unguarded
from wslabel.sources.measured import PIECE, refuse_absent, refuse_large

BLOCK = 2**20
"""Bytes that are parsed at a time; a row is no longer."""

WIDEST = 8
"""Most bytes of a value whose type is guessed, unless it is text."""

PARSING = pacsv.ParseOptions(newlines_in_values=True)
"""Titles hold line breaks now and then."""


def read_csv(data: pa.Buffer, texts: Sequence[str], guessed: Sequence[str], where: str) -> pa.Table:
    """Read some columns of a CSV file.

    Args:
        data: The file.
        texts: Columns that are text.
        guessed: Columns whose types follow from all of their values.
        where: Path of the file, for messages.

    Raises:
        SourceError: this machine's memory does not hold them, or one is not there.
        ValueError: the file is no CSV.
    """
    names = list(dict.fromkeys([*texts, *guessed]))
    header = _header(data)
    refuse_absent(names, header, where)
    _refuse_large_columns(data, names, set(texts), where)
    options = pacsv.ConvertOptions(
        include_columns=names,
        column_types=dict.fromkeys(texts, pa.string()),
        # An empty cell says that there is no value.
        strings_can_be_null=True,
        null_values=[""],
    )
    table = pacsv.read_csv(
        pa.BufferReader(data),
        read_options=pacsv.ReadOptions(block_size=BLOCK),
        parse_options=PARSING,
        convert_options=options,
    )
    if _has_quotes(data):
        _refuse_stray_quotes(data, table.num_rows)
    return unguarded(table, header)


def _header(data: pa.Buffer) -> list[str]:
    """Read the names of the columns: of very many, Arrow would take gigabytes for their types."""
    first = data.slice(0, min(BLOCK, data.size)).to_pybytes().decode("utf-8-sig", "replace")
    csv.field_size_limit(2 * BLOCK)
    names = next((row for row in csv.reader(io.StringIO(first, newline="")) if row), None)
    if names is None:
        raise ValueError("the file is empty")
    return names


def _refuse_large_columns(
    data: pa.Buffer, names: Sequence[str], texts: set[str], where: str
) -> None:
    """Refuse columns that this machine's memory does not hold, by what they come to as text."""
    options = pacsv.ConvertOptions(
        include_columns=names, column_types=dict.fromkeys(names, pa.binary())
    )
    blocks = pacsv.open_csv(
        pa.BufferReader(data),
        read_options=pacsv.ReadOptions(block_size=BLOCK),
        parse_options=PARSING,
        convert_options=options,
    )
    num_bytes, num_rows = 0, 0
    for block in blocks:
        num_rows += block.num_rows
        for name in names:
            least = 0 if name in texts else WIDEST * block.num_rows
            num_bytes += max(least, block.column(name).nbytes)
        refuse_large(num_bytes, num_rows, where)


def _has_quotes(data: pa.Buffer) -> bool:
    stream = pa.BufferReader(data)
    return any(b'"' in piece for piece in iter(lambda: stream.read(PIECE), b""))


def _refuse_stray_quotes(data: pa.Buffer, num_rows: int) -> None:
    """Read the rows again by the standard's letter: Arrow joins rows where a quote goes astray."""
    text = io.TextIOWrapper(pa.BufferReader(data), encoding="utf-8-sig", newline="")
    csv.field_size_limit(2 * BLOCK)  # Arrow takes no longer row
    rows = csv.reader(text, strict=True)
    num_quoted = -1  # the header
    try:
        for row in rows:
            num_quoted += bool(row)
    except csv.Error as error:
        raise pa.ArrowInvalid(f"line {rows.line_num}: {error}; is a quote not closed?") from None
    if num_quoted != num_rows:
        raise pa.ArrowInvalid(
            f"{num_quoted} rows by its quotes, {num_rows} without; is one astray?"
        )
