"""A histogram with marked thresholds."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from wslabel.report.charts import svg
from wslabel.report.charts.svg import HEIGHT, PAD, WIDTH
from wslabel.report.statistics import Histogram

TOP, BASE = 34, HEIGHT - PAD
"""Ends of the highest bar; above it is room for the names of two marks."""


@dataclass(frozen=True, kw_only=True)
class HistogramChart:
    """How values are spread, and where thresholds lie.

    Attributes:
        title: What the values are.
        histogram: Values counted in bins.
        marks: Thresholds by name.
        note: A sentence below.
        is_wide: Whether it wants the width of two.
    """

    title: str
    histogram: Histogram
    marks: tuple[tuple[str, float], ...] = ()
    note: str = ""
    is_wide: bool = False

    def svg(self) -> str:
        """Draw the bars and, above them, the marks."""
        parts = [*self._bars(), *self._marks()]
        parts.append(svg.axis(self.histogram.low, self.histogram.high, BASE))
        return svg.drawing(self.title, parts)

    def _bars(self) -> Iterator[str]:
        counts_B = self.histogram.counts_B
        step = (WIDTH - 2 * PAD) / len(counts_B)
        most = max(1, int(counts_B.max(initial=0)))
        for index in np.flatnonzero(counts_B):
            tall = (BASE - TOP) * int(counts_B[index]) / most
            at = PAD + index * step, BASE - tall
            tip = f"{int(counts_B[index]):,}"
            yield svg.rectangle(at, max(step - 0.7, 0.5), max(tall, 0.8), tip)

    def _marks(self) -> list[str]:
        lines, names = [], []
        for number, (name, value) in enumerate(self.marks):
            x, y = self._place(value), TOP - 10 - 12 * (number % 2)  # two may lie close together
            words = f"{name} {value:.3g}"
            half = svg.LETTER * len(words) / 2
            lines.append(svg.line((x, y + 3), (x, BASE), "mark"))
            names.append(svg.text((min(max(x, half), WIDTH - half), y), words, "middle"))
        return lines + names

    def _place(self, value: float) -> float:
        low, high = self.histogram.low, self.histogram.high
        return PAD + (WIDTH - 2 * PAD) * (min(max(value, low), high) - low) / (high - low)
