"""The terminal: the tables of a presentation, in the room there is; the door to rich's tables."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TextIO

from rich import box
from rich.console import Console, JustifyMethod
from rich.table import Table as RichTable
from rich.text import Text

from wslabel.report import layout
from wslabel.report.cells import written
from wslabel.report.presentation import Column, Presentation, Section, Table
from wslabel.screen import visible

LOG_WIDTH = 200
"""Columns where nobody watches: a log keeps each row on its line."""


def draw(
    presentation: Presentation,
    *,
    width: int | None = None,
    file: TextIO | None = None,
    details: bool = False,
) -> None:
    """Print the tables of a presentation.

    Args:
        presentation: What to show.
        width: Columns of the terminal; None asks the terminal.
        file: Where to print; None for standard output.
        details: Whether to print what is otherwise left to the page.
    """
    stream = file or sys.stdout
    room = width or (None if stream.isatty() else LOG_WIDTH)
    console = Console(file=stream, width=room, highlight=False)
    for section in presentation.sections:
        tables = [t for t in section.tables if t.rows and (details or not t.is_detail)]
        if tables or section.note:
            _draw_section(console, section, tables)


def _text(words: str, style: str) -> Text:
    """Give words as they are: what looks like markup is none."""
    return Text(visible(words), style)


def _draw_section(console: Console, section: Section, tables: Sequence[Table]) -> None:
    console.print()
    console.print(_text(section.title, "bold"))
    if section.note:
        console.print(_text(section.note, "dim"))
    for table in tables:
        _draw_table(console, table, section.title)


def _draw_table(console: Console, table: Table, above: str) -> None:
    console.print()
    if table.title != above:
        console.print(_text(table.title, "italic"))
    for number, block in enumerate(_blocks(table.shown(), console.width)):
        if number:
            console.print()
        console.print(block)
    for line in (table.rest, table.note):
        if line:
            console.print(_text(line, "dim"))


def _blocks(table: Table, width: int) -> Iterator[RichTable]:
    columns = [replace(column, name=visible(column.name)) for column in table.columns]
    rows = [
        [written(cell, column.kind) for cell, column in zip(row, columns, strict=True)]
        for row in table.rows
    ]
    shapes = [
        layout.shape(column.name, [row[index] for row in rows], is_number=column.kind.is_number)
        for index, column in enumerate(columns)
    ]
    for widths in layout.arranged(shapes, table.num_naming, width):
        yield _block(columns, rows, widths)


def _block(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], widths: dict[int, int]
) -> RichTable:
    block = RichTable(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 0, 0, 1))
    for index, width in widths.items():
        column = columns[index]
        head = Text(layout.folded(column.name, width))
        justify: JustifyMethod = "right" if column.kind.is_number else "left"
        block.add_column(head, justify=justify, width=width)
    for row in rows:
        cells = (layout.folded(row[index], width) for index, width in widths.items())
        block.add_row(*map(Text, cells))
    return block
