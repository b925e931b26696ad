"""Values of several things under one another."""

from collections.abc import Iterator
from dataclasses import dataclass

from wslabel.report.charts import svg
from wslabel.report.charts.svg import LETTER, WIDTH

STEP = 24
LONGEST_NAME = 28


@dataclass(frozen=True)
class Dots:
    """One row: what it is about, and its values."""

    name: str
    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The middle of its values."""
        return sum(self.values) / len(self.values)


@dataclass(frozen=True, kw_only=True)
class DotChart:
    """Values of several things, each with their mean.

    Attributes:
        title: What the values are.
        rows: One or more values each.
        note: A sentence below.
        is_wide: Whether it wants the width of two.
    """

    title: str
    rows: tuple[Dots, ...]
    note: str = ""
    is_wide: bool = False

    def svg(self) -> str:
        """Draw a row of dots with a mark at their mean for each of them."""
        low, high = svg.ends([value for row in self.rows for value in row.values])
        names = [row.name[:LONGEST_NAME] for row in self.rows]
        left = 12 + LETTER * max(map(len, names), default=0)
        right = max(left + WIDTH / 2, WIDTH) - 24
        scale = (right - left - 12) / (high - low)
        parts = []
        for index, (row, name) in enumerate(zip(self.rows, names, strict=True)):
            y = 16.0 + STEP * index
            parts.append(svg.text((left - 4, y + 4), name, "end"))
            parts += _row(row, y, left + 12 - scale * low, scale)
        base = 16.0 + STEP * len(self.rows)
        parts.append(svg.axis(low, high, base - 8, left + 12, right))
        return svg.drawing(self.title, parts, right + 24, base + 12)


def _row(row: Dots, y: float, zero: float, scale: float) -> Iterator[str]:
    for value in row.values:
        yield svg.dot((zero + scale * value, y), 3.5, f"{value:.4f}")
    x = zero + scale * row.mean
    yield svg.line((x, y - 8), (x, y + 8), "mark")
