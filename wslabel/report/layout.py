"""How a table fits a terminal: where text is broken, and which columns stand side by side.

Numbers are never broken or cut. Text is folded; where even that is too wide, the table is cut into
blocks of columns that stand below one another, each with the columns that name the row.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len

GAP = 2
MOST_TEXT = 24
"""Longer words are cut, and longer text is given no more room where room is short."""

PIECE = re.compile(r"[^\s._/\-]*[\s._/\-]*")


@dataclass(frozen=True)
class Shape:
    """Widths of a column: `best` on one line, `least` on about two and with no word broken."""

    least: int
    best: int


def shape(head: str, cells: Sequence[str], *, is_number: bool) -> Shape:
    """Measure a column.

    >>> shape("calibration error", ["0.0156"], is_number=True)
    Shape(least=11, best=17)
    >>> shape("name", ["a_long_name_of_something"], is_number=False)
    Shape(least=14, best=24)
    """
    widest = max((cell_len(cell) for cell in cells), default=0)
    least = widest
    if not is_number:
        half = min(widest, widest // 2 + 2, MOST_TEXT)
        least = max([half, *map(_longest_word, cells)])
    return Shape(max(least, _longest_word(head)), max(widest, cell_len(head)))


def _longest_word(text: str) -> int:
    longest = max(cell_len(piece.rstrip()) for piece in PIECE.findall(text))
    return min(longest, MOST_TEXT)


def arranged(shapes: Sequence[Shape], num_naming: int, width: int) -> list[dict[int, int]]:
    """Give the width of each column, block by block; with several, names are not folded.

    >>> arranged([Shape(8, 13), Shape(9, 9)], 1, 20)
    [{0: 9, 1: 9}]
    """
    cut = list(blocks(shapes, num_naming, width))
    if len(cut) > 1:
        whole = [Shape(max(s.least, min(s.best, MOST_TEXT)), s.best) for s in shapes[:num_naming]]
        shapes = [*whole, *shapes[num_naming:]]
        cut = list(blocks(shapes, num_naming, width))
    return [
        dict(zip(block, widths([shapes[column] for column in block], width), strict=True))
        for block in cut
    ]


def blocks(shapes: Sequence[Shape], num_naming: int, width: int) -> Iterator[list[int]]:
    """Cut columns into blocks that fit a width.

    >>> list(blocks([Shape(10, 10), *[Shape(6, 6)] * 4], 1, 30))
    [[0, 1, 2], [0, 3, 4]]
    """
    naming = list(range(num_naming))
    block = list(naming)
    for column in range(num_naming, len(shapes)):
        if len(block) > num_naming and _total(shapes, [*block, column]) > width:
            yield block
            block = list(naming)
        block.append(column)
    yield block


def _total(shapes: Sequence[Shape], columns: Sequence[int]) -> int:
    return sum(shapes[column].least + GAP for column in columns) - GAP


def widths(shapes: Sequence[Shape], width: int) -> list[int]:
    """Give each column of a block its least width, and what is left over to those that want it.

    >>> widths([Shape(8, 30), Shape(6, 6)], 24)
    [16, 6]
    """
    given = []
    spare = max(0, width - _total(shapes, range(len(shapes))))
    for column in shapes:
        more = min(spare, column.best - column.least)
        given.append(column.least + more)
        spare -= more
    return given


def folded(text: str, width: int) -> str:
    """Break a text into lines of a width, after spaces and the marks that join words.

    >>> folded("training.confidence_threshold", 12).splitlines()
    ['training.', 'confidence_', 'threshold']
    """
    lines = [""]
    for piece in PIECE.findall(text):
        if cell_len(lines[-1]) + cell_len(piece.rstrip()) > width and lines[-1]:
            lines.append("")
        for part in _parts(piece, width):
            if cell_len(lines[-1]) + cell_len(part.rstrip()) > width:
                lines.append("")
            lines[-1] += part
    return "\n".join(line.rstrip() for line in lines if line.strip()) or text.strip()


def _parts(piece: str, width: int) -> list[str]:
    """Cut a piece that is too long for any line."""
    if cell_len(piece.rstrip()) <= width:
        return [piece]
    return list(piece)
