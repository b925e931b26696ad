"""Small charts as inline SVG; colors are the page's own, so they follow its dark mode."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from wslabel.report.statistics import Calibration, Histogram

WIDTH, HEIGHT, PAD = 320, 120, 22


def bar(share: float | None, kind: str = "") -> str:
    """Draw a share between 0 and 1 as a small bar with its number."""
    if share is None:
        return '<span class="none">-</span>'
    width = 60 * max(0.0, min(1.0, share))
    return (
        f'<span class="bar"><svg width="60" height="9" role="img" aria-label="{share:.3f}">'
        f'<rect class="rail" width="60" height="9" rx="2"/>'
        f'<rect class="fill {kind}" width="{width:.1f}" height="9" rx="2"/></svg>'
        f"<b>{share:.3f}</b></span>"
    )


def histogram(
    found: Histogram, title: str, marks: Sequence[tuple[float, str]] = (), *, log: bool = False
) -> str:
    """Draw a histogram with marked thresholds."""
    heights = np.log1p(found.counts_B) if log else found.counts_B.astype(float)
    top = max(float(heights.max(initial=0.0)), 1e-9)
    step = (WIDTH - 2 * PAD) / len(heights)
    parts = [_open(title)]
    for index, (height, count) in enumerate(zip(heights, found.counts_B, strict=True)):
        tall = (HEIGHT - 2 * PAD) * float(height) / top
        if count:
            x, y = PAD + index * step, HEIGHT - PAD - tall
            parts.append(
                f'<rect class="fill" x="{x:.1f}" y="{y:.1f}" width="{max(step - 0.7, 0.5):.1f}" '
                f'height="{tall:.1f}"><title>{int(count):,}</title></rect>'
            )
    for value, text in marks:
        share = (min(max(value, found.low), found.high) - found.low) / (found.high - found.low)
        x = PAD + (WIDTH - 2 * PAD) * share
        parts.append(
            f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{PAD - 6}" y2="{HEIGHT - PAD}"/>'
            f'<text x="{x:.1f}" y="{PAD - 9}" text-anchor="middle">{escape(text)}</text>'
        )
    parts.append(_axis(found.low, found.high))
    return "".join(parts) + "</svg>"


def reliability(found: Calibration, title: str) -> str:
    """Draw accuracy against confidence, beside the diagonal of perfect calibration."""
    size = WIDTH * 0.6
    inner = size - 2 * PAD
    parts = [_open(title, size, size)]
    parts.append(
        f'<line class="axis" x1="{PAD}" y1="{size - PAD:.0f}" x2="{size - PAD:.0f}" y2="{PAD}"/>'
    )
    most = max(1, int(found.counts_B.max(initial=0)))
    counts = zip(found.counts_B, found.confidence_B, found.correct_B, strict=True)
    for count, confidence, correct in counts:
        if count:
            x = PAD + inner * confidence / count
            y = size - PAD - inner * correct / count
            radius = 2.5 + 5 * (count / most) ** 0.5
            parts.append(
                f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}">'
                f"<title>{int(count):,} images: confidence {confidence / count:.3f}, "
                f"accuracy {correct / count:.3f}</title></circle>"
            )
    for value in (0.0, 0.5, 1.0):
        x, y = PAD + inner * value, size - PAD - inner * value
        parts.append(
            f'<text x="{x:.0f}" y="{size - 8:.0f}" text-anchor="middle">{value:g}</text>'
            f'<text x="{PAD - 5}" y="{y + 3:.0f}" text-anchor="end">{value:g}</text>'
        )
    return "".join(parts) + "</svg>"


@dataclass(frozen=True)
class Dots:
    """One row of a dot plot: single values, and the mean with the ends of an interval."""

    name: str
    values: Sequence[float]
    mean: float
    ends: tuple[float, float] | None = None


def dots(rows: Sequence[Dots], title: str) -> str:
    """Draw values of several things under one another, each with its mean and interval."""
    everything = [v for row in rows for v in (*row.values, row.mean, *(row.ends or ()))]
    low, high = _ends(everything)
    label = 10 + 6.2 * max((len(row.name) for row in rows), default=0)
    wide, tall = label + WIDTH, 22 * len(rows) + 24

    def place(value: float) -> float:
        return label + 8 + (WIDTH - 30) * (value - low) / (high - low)

    parts = [_open(title, wide, tall)]
    for index, row in enumerate(rows):
        y = 14 + 22 * index
        parts.append(
            f'<text x="{label:.0f}" y="{y + 3}" text-anchor="end">{escape(row.name)}</text>'
        )
        if row.ends is not None:
            first, last = place(row.ends[0]), place(row.ends[1])
            parts.append(f'<line class="mark" x1="{first:.1f}" x2="{last:.1f}" y1="{y}" y2="{y}"/>')
        parts += [
            f'<circle class="dot" cx="{place(v):.1f}" cy="{y}" r="3">'
            f"<title>{v:.4f}</title></circle>"
            for v in row.values
        ]
        x = place(row.mean)
        parts.append(f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{y - 7}" y2="{y + 7}"/>')
    for value in (low, (low + high) / 2, high):
        x, y = place(value), tall - 4
        parts.append(f'<text x="{x:.1f}" y="{y}" text-anchor="middle">{value:.4g}</text>')
    return "".join(parts) + "</svg>"


def lines(series: Mapping[str, Sequence[float]], title: str) -> str:
    """Draw values over rounds 0, 1, 2 ...; one line per name."""
    low, high = _ends([v for values in series.values() for v in values])
    last = max(1, max((len(values) for values in series.values()), default=2) - 1)
    parts = [_open(title)]
    for number, (name, values) in enumerate(series.items()):
        points = [
            (
                PAD + (WIDTH - 2 * PAD) * index / last,
                HEIGHT - PAD - (HEIGHT - 2 * PAD) * (value - low) / (high - low),
            )
            for index, value in enumerate(values)
        ]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        shade = 1 - 0.6 * number / max(1, len(series))
        parts.append(f'<polyline class="line" style="opacity:{shade:.2f}" points="{path}"/>')
        for (x, y), value in zip(points, values, strict=True):
            parts.append(
                f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="3">'
                f"<title>{escape(name)}: {value:.4f}</title></circle>"
            )
        if points:
            x, y = points[-1]
            parts.append(
                f'<text x="{x:.1f}" y="{y - 6:.1f}" text-anchor="end">{escape(name)}</text>'
            )
    parts.append(_axis(0, last))
    for value, y in ((high, PAD), (low, HEIGHT - PAD)):
        parts.append(f'<text x="2" y="{y - 2}">{value:.3g}</text>')
    return "".join(parts) + "</svg>"


def parallel(axes: Mapping[str, Sequence[Any]], title: str) -> str:
    """Draw one line per trial across one upright axis per key; the last axis gives its shade."""
    wide, tall = max(WIDTH, 130 * len(axes)), 200
    count = len(next(iter(axes.values()), ()))
    places = [_placed(values) for values in axes.values()]
    parts = [_open(title, wide, tall)]
    step = (wide - 120) / max(1, len(axes) - 1)
    for index, (name, values) in enumerate(axes.items()):
        x, heights = 60 + step * index, places[index]
        parts.append(
            f'<line class="axis" x1="{x:.0f}" x2="{x:.0f}" y1="30" y2="{tall - 20}"/>'
            f'<text x="{x:.0f}" y="12" text-anchor="middle">'
            f"{escape(name.rpartition('.')[2])}</text>"
        )
        for value, height in {_label(v): h for v, h in zip(values, heights, strict=True)}.items():
            y = tall - 20 - (tall - 50) * height
            parts.append(f'<text x="{x + 4:.0f}" y="{y + 3:.1f}">{escape(value)}</text>')
    for trial in range(count):
        points = " ".join(
            f"{60 + step * i:.1f},{tall - 20 - (tall - 50) * heights[trial]:.1f}"
            for i, heights in enumerate(places)
        )
        shade = 0.15 + 0.85 * places[-1][trial]
        parts.append(f'<polyline class="line" style="opacity:{shade:.2f}" points="{points}"/>')
    return "".join(parts) + "</svg>"


def _placed(values: Sequence[Any]) -> list[float]:
    """Place values between 0 and 1: numbers by size, others by their order."""
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    if len(numbers) == len(values):
        low, high = _ends(numbers)
        return [(value - low) / (high - low) for value in numbers]
    names = sorted({_label(value) for value in values})
    return [(names.index(_label(v)) + 0.5) / len(names) for v in values]


def _label(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _ends(values: Sequence[float]) -> tuple[float, float]:
    """Give the range of some values, widened where there is none."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def heat(shares_MM: np.ndarray, names: Sequence[str], title: str) -> str:
    """Draw a square table of shares as a heat map with its numbers."""
    label, cell = 8 + 6.2 * max(map(len, names), default=0), 34
    side = label + cell * len(names)
    parts = [_open(title, side, side - label + 20 + label * 0.75)]
    for row, name in enumerate(names):
        y = cell * row
        parts.append(
            f'<text x="{label - 6:.0f}" y="{y + cell / 2 + 3:.0f}" text-anchor="end">'
            f"{escape(name)}</text>"
        )
        for column in range(len(names)):
            share, x = float(shares_MM[row, column]), label + cell * column
            parts.append(
                f'<rect class="fill" x="{x:.0f}" y="{y}" width="{cell - 2}" height="{cell - 2}" '
                f'style="opacity:{0.06 + 0.94 * share:.3f}"><title>{escape(name)}, '
                f"{escape(names[column])}: {share:.3f}</title></rect>"
                f'<text class="{"on" if share > 0.6 else "ink"}" x="{x + cell / 2 - 1:.0f}" '
                f'y="{y + cell / 2 + 3:.0f}" text-anchor="middle">{share:.2f}</text>'
            )
    for column, name in enumerate(names):
        x, y = label + cell * column + cell / 2, cell * len(names) + 10
        parts.append(
            f'<text transform="translate({x:.0f},{y}) rotate(-45)" text-anchor="end">'
            f"{escape(name)}</text>"
        )
    return "".join(parts) + "</svg>"


def _open(title: str, width: float = WIDTH, height: float = HEIGHT) -> str:
    return (
        f'<svg class="chart" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'style="max-width:{width:.0f}px" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>"
    )


def _axis(low: float, high: float) -> str:
    y = HEIGHT - PAD
    parts = [f'<line class="axis" x1="{PAD}" x2="{WIDTH - PAD}" y1="{y}" y2="{y}"/>']
    for share in (0.0, 0.5, 1.0):
        x = PAD + (WIDTH - 2 * PAD) * share
        value = low + (high - low) * share
        parts.append(f'<text x="{x:.0f}" y="{y + 13}" text-anchor="middle">{value:.3g}</text>')
    return "".join(parts)
