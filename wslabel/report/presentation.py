"""What a result shows, described once: facts, tables, charts and images.

The terminal, the page and JSON draw the same `Presentation`. Cells are raw values; how a column is
written follows from its kind, in `cells`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Protocol

SCREENFUL = 20
"""Rows shown of a table that may have hundreds; what is left out is counted."""

NAMED = 4
"""Classes named in a title; of more, the first ones and a count."""


class Kind(Enum):
    """What the cells of a column are, and so how they are written."""

    TEXT = auto()
    NAMES = auto()
    VALUE = auto()
    MARK = auto()
    COUNT = auto()
    SHARE = auto()
    SCORE = auto()
    POINTS = auto()
    NUMBER = auto()
    SECONDS = auto()
    P_VALUE = auto()

    @property
    def is_number(self) -> bool:
        """Tell whether cells are aligned to the right and never broken."""
        return self not in (Kind.TEXT, Kind.NAMES, Kind.VALUE, Kind.MARK)


@dataclass(frozen=True)
class Estimate:
    """A mean over repetitions with its standard deviation; None where there was only one."""

    mean: float
    sd: float | None = None


@dataclass(frozen=True)
class Interval:
    """A mean with the ends of its confidence interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: Head of the column.
        kind: What its cells are.
        key: Name of the column in JSON; None makes it from `name`.
    """

    name: str
    kind: Kind = Kind.TEXT
    key: str | None = None


Row = tuple[object, ...]


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of raw values under typed columns.

    Attributes:
        title: What the table is about; unique within its section.
        columns: Columns in their order.
        rows: One value per column; None where there is none.
        note: A sentence that a reader needs to understand the numbers.
        limit: The most rows that people are shown; JSON has all of them.
        noun: What the rows are, in the plural, to count those that are not shown.
        shades: How dark each cell of a number column is, from 0 to 1; empty for a plain table.
        num_naming: How many leading columns say what a row is about.
        is_detail: Whether it belongs to the table before it: the page shows it beside that one,
            the terminal not at all.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    note: str = ""
    limit: int | None = None
    noun: str = "rows"
    shades: tuple[tuple[float, ...], ...] = ()
    num_naming: int = 1
    is_detail: bool = False

    def shown(self) -> "Table":
        """Give the part that people are shown: up to `limit` rows, no column without a value."""
        rows = self.rows[: self.limit]
        kept = [
            index
            for index in range(len(self.columns))
            if index < self.num_naming or any(row[index] is not None for row in rows)
        ]
        return replace(
            self,
            columns=tuple(self.columns[index] for index in kept),
            rows=tuple(tuple(row[index] for index in kept) for row in rows),
        )

    @property
    def rest(self) -> str:
        """Count the rows that people are not shown; empty where they are shown all."""
        left = 0 if self.limit is None else len(self.rows) - self.limit
        return f"and {left:,} more {self.noun}" if left > 0 else ""


class Chart(Protocol):
    """Data that can be drawn as SVG; one file of `charts` per kind."""

    @property
    def title(self) -> str:
        """What the chart is about."""
        ...

    @property
    def note(self) -> str:
        """A sentence below it."""
        ...

    @property
    def is_wide(self) -> bool:
        """Whether it wants the width of two."""
        ...

    def svg(self) -> str:
        """Draw it, with all text escaped."""
        ...


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One image with what was said about it.

    Attributes:
        image_id: Id of the image.
        thumbnail: JPEG to show; None where the project stores none.
        label: Name of the class it is given.
        confidence: Probability of that class.
        votes: What labeling functions say of it, in words.
        truth: Name of its true class; None where that is not known.
    """

    image_id: str
    thumbnail: bytes | None
    label: str
    confidence: float
    votes: tuple[str, ...] = ()
    truth: str | None = None


@dataclass(frozen=True)
class Gallery:
    """Some images under one title."""

    title: str
    pictures: tuple[Picture, ...]


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of a presentation; the terminal draws its tables alone."""

    title: str
    note: str = ""
    tables: tuple[Table, ...] = ()
    charts: tuple[Chart, ...] = ()
    galleries: tuple[Gallery, ...] = ()

    def groups(self) -> list[list[Table]]:
        """Give its tables, each together with the details that follow it."""
        groups: list[list[Table]] = []
        for table in self.tables:
            if groups and table.is_detail:
                groups[-1].append(table)
            else:
                groups.append([table])
        return groups


@dataclass(frozen=True)
class Fact:
    """One number that a reader looks for first."""

    name: str
    value: object
    kind: Kind = Kind.SCORE


@dataclass(frozen=True, kw_only=True)
class Presentation:
    """All that a result shows."""

    title: str
    subtitle: str = ""
    facts: tuple[Fact, ...] = ()
    sections: tuple[Section, ...] = ()


def class_title(classes: Sequence[str]) -> str:
    """Name a project by its classes.

    >>> class_title(["jungle", "sea"]), class_title(list("abcdef"))
    ('jungle or sea', 'a, b, c and 3 more classes')
    """
    if len(classes) <= NAMED:
        return " or ".join(classes)
    named = NAMED - 1
    return f"{', '.join(classes[:named])} and {len(classes) - named:,} more classes"
