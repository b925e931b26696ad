"""How a cell is written for people, by the kind of its column, and given to programs as it is."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict
from itertools import accumulate

from wslabel.report.presentation import Estimate, Interval, Kind
from wslabel.screen import visible

NOTHING = "-"
NAMES_WIDTH = 24
"""Letters that the names in a cell may take; what goes beyond is counted."""


def written(cell: object, kind: Kind) -> str:
    """Write a cell for people.

    >>> written(0.91234, Kind.SCORE), written(Estimate(0.5, 0.01), Kind.SCORE)
    ('0.9123', '0.5000 ± 0.0100')
    >>> written(None, Kind.COUNT), written(1234, Kind.COUNT), written(("a", "b"), Kind.NAMES)
    ('-', '1,234', 'a, b')
    """
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return NOTHING
    if isinstance(cell, Estimate):
        spread = "" if cell.sd is None else f" ± {written(cell.sd, kind)}"
        return written(cell.mean, kind) + spread
    if isinstance(cell, Interval):
        mean, low, high = (written(value, kind) for value in (cell.mean, cell.low, cell.high))
        return f"{mean} [{low}, {high}]"
    return visible(WRITERS[kind](cell))


def _names(cell: object) -> str:
    assert isinstance(cell, tuple)
    ends = list(accumulate(len(name) + 2 for name in cell))
    num_named = max(1, sum(end - 2 <= NAMES_WIDTH for end in ends))
    left = len(cell) - num_named
    return ", ".join(cell[:num_named]) + (f" and {left:,} more" if left > 0 else "")


def _value(cell: object) -> str:
    """Write what a key of a project file may hold."""
    if isinstance(cell, str):
        return cell
    return _number(cell) if isinstance(cell, float) else json.dumps(cell)


def _number(cell: object) -> str:
    return f"{cell:,}" if isinstance(cell, int) else f"{cell:.4g}"


WRITERS: Mapping[Kind, Callable[[object], str]] = {
    Kind.TEXT: str,
    Kind.NAMES: _names,
    Kind.VALUE: _value,
    Kind.MARK: lambda cell: "*" if cell else "",
    Kind.COUNT: lambda cell: f"{cell:,}",
    Kind.SHARE: lambda cell: f"{cell:.3f}",
    Kind.SCORE: lambda cell: f"{cell:.4f}",
    Kind.POINTS: lambda cell: f"{cell:+.2f}",
    Kind.NUMBER: _number,
    Kind.SECONDS: lambda cell: f"{cell:,.1f}",
    Kind.P_VALUE: lambda cell: f"{cell:.2g}",
}


def plain(cell: object) -> object:
    """Give a cell to programs: numbers stay numbers, and what is no number is null.

    >>> plain(Estimate(0.5, 0.25)), plain(float("nan")), plain(("a", "b"))
    ({'mean': 0.5, 'sd': 0.25}, None, ['a', 'b'])
    """
    if isinstance(cell, Estimate | Interval):
        return {name: plain(value) for name, value in asdict(cell).items()}
    if isinstance(cell, float) and not math.isfinite(cell):
        return None
    if isinstance(cell, Mapping):
        return {str(key): plain(value) for key, value in cell.items()}
    if isinstance(cell, list | tuple):
        return [plain(value) for value in cell]
    return cell
