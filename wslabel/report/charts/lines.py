"""Values over rounds."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from wslabel.report.charts import svg
from wslabel.report.charts.svg import HEIGHT, PAD, WIDTH

LEFT = 46


@dataclass(frozen=True, kw_only=True)
class LineChart:
    """Values at rounds 0, 1, 2 and so on.

    Attributes:
        title: What the values are.
        series: Values by name; one line each.
        note: A sentence below.
        is_wide: Whether it wants the width of two.
    """

    title: str
    series: Mapping[str, Sequence[float]]
    note: str = ""
    is_wide: bool = False

    def svg(self) -> str:
        """Draw a line through the values of each, named at its end."""
        low, high = svg.ends([value for values in self.series.values() for value in values])
        last = max(1, max((len(values) for values in self.series.values()), default=2) - 1)
        base = HEIGHT - PAD
        parts = []
        for number, (name, values) in enumerate(self.series.items()):
            points = [
                (LEFT + (WIDTH - PAD - LEFT) * index / last, _height(value, low, high))
                for index, value in enumerate(values)
            ]
            parts.append(svg.path(points, 1 - 0.6 * number / max(1, len(self.series))))
            parts += _dots(name, points, values)
        parts.append(svg.line((LEFT, base), (WIDTH - PAD, base), "axis"))
        parts += _rounds(last)
        for value in (low, high):
            parts.append(svg.text((LEFT - 8, _height(value, low, high) + 4), f"{value:.3g}", "end"))
        return svg.drawing(self.title, parts)


def _height(value: float, low: float, high: float) -> float:
    return HEIGHT - PAD - 8 - (HEIGHT - 2 * PAD - 8) * (value - low) / (high - low)


def _dots(name: str, points: Sequence[svg.Point], values: Sequence[float]) -> Iterator[str]:
    for point, value in zip(points, values, strict=True):
        yield svg.dot(point, 3.5, f"{name}: {value:.4f}")
    if points:
        x, y = points[-1]
        yield svg.text((x + 8, y - 8), name, "end")


def _rounds(last: int) -> Iterator[str]:
    """Write the numbers of the rounds, no more than there is room for."""
    for number in range(0, last + 1, -(-last // 10)):
        x = LEFT + (WIDTH - PAD - LEFT) * number / last
        yield svg.text((x, HEIGHT - PAD + 15), str(number), "middle")
