"""Text of strangers in exported CSV files, which spreadsheets run where it looks like a formula.

As OWASP advises, an apostrophe before such a text makes it text for a spreadsheet. Who reads the
file back takes it away again.
"""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

HEAD = ("image_id", "uri", "split", "label", "confidence")
"""First columns of an export, by which one is known."""

OF_STRANGERS = HEAD[:2]
"""Columns with text that came with the images; all other text is of the project file."""

_FORMULA = "^('*[=+\\-@\t\r\uff1d\uff0b\uff0d\uff20])"
"""How formulas begin; some spreadsheets take wide characters for the narrow ones."""


def guarded(table: pa.Table) -> pa.Table:
    """Put an apostrophe before text of strangers that a spreadsheet would run.

    >>> ids, others = ["a-b", "=1+1", "'=1+1"], [[None] * 3] * 4
    >>> guarded(pa.table([pa.array(ids), *map(pa.array, others)], HEAD))["image_id"].to_pylist()
    ['a-b', "'=1+1", "''=1+1"]
    """
    return _replaced(table, r"'\1", _FORMULA)


def unguarded(table: pa.Table, header: Sequence[str]) -> pa.Table:
    """Take away what `guarded` put there, of columns of a file whose header is an export's."""
    is_ours = tuple(header[: len(HEAD)]) == HEAD
    return _replaced(table, r"\1", f"^'{_FORMULA[1:]}") if is_ours else table


def _replaced(table: pa.Table, text: str, pattern: str) -> pa.Table:
    for name in OF_STRANGERS:
        index = table.schema.get_field_index(name)
        if index >= 0 and pa.types.is_string(table.schema.field(index).type):
            replaced = pc.replace_substring_regex(table.column(index), pattern, text)
            table = table.set_column(index, name, replaced)
    return table
