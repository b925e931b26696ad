"""Marks of inline SVG; colors are the page's own, so they follow its dark mode.

Drawings are as wide as the card that shows them, so that their text is as large as it says.
"""

from collections.abc import Iterable, Sequence
from html import escape

from wslabel.screen import visible

Point = tuple[float, float]

WIDTH, HEIGHT, PAD = 320, 140, 24
LETTER = 6.4
"""Mean width of a letter, to make room for names."""


def _escaped(words: str) -> str:
    return escape(visible(words))


def drawing(title: str, parts: Iterable[str], width: float = WIDTH, height: float = HEIGHT) -> str:
    """Frame marks as one drawing."""
    return (
        f'<svg class="chart" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        f'role="img" aria-label="{_escaped(title)}">'
        f"<title>{_escaped(title)}</title>{''.join(parts)}</svg>"
    )


def text(at: Point, words: str, anchor: str = "start") -> str:
    """Write words at a place; `anchor` is start, middle or end."""
    return f'<text x="{at[0]:.1f}" y="{at[1]:.1f}" text-anchor="{anchor}">{_escaped(words)}</text>'


def line(start: Point, end: Point, kind: str) -> str:
    """Draw a straight line; `kind` is axis or mark."""
    (x1, y1), (x2, y2) = start, end
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def path(points: Sequence[Point], opacity: float) -> str:
    """Draw a line through points."""
    places = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline class="line" opacity="{opacity:.2f}" points="{places}"/>'


def dot(at: Point, radius: float, tip: str) -> str:
    """Draw a dot that says more when it is pointed at."""
    circle = f'<circle class="dot" cx="{at[0]:.1f}" cy="{at[1]:.1f}" r="{radius:.1f}">'
    return f"{circle}<title>{_escaped(tip)}</title></circle>"


def rectangle(at: Point, width: float, height: float, tip: str) -> str:
    """Draw a filled rectangle that says more when it is pointed at."""
    place = f'x="{at[0]:.1f}" y="{at[1]:.1f}" width="{width:.1f}" height="{height:.1f}"'
    return f'<rect class="fill" {place}><title>{_escaped(tip)}</title></rect>'


def axis(low: float, high: float, y: float, left: float = PAD, right: float = WIDTH - PAD) -> str:
    """Draw a level axis with its ends and middle."""
    parts = [line((left, y), (right, y), "axis")]
    for share in (0.0, 0.5, 1.0):
        place = (left + (right - left) * share, y + 14)
        parts.append(text(place, f"{low + (high - low) * share:.3g}", "middle"))
    return "".join(parts)


def ends(values: Sequence[float]) -> tuple[float, float]:
    """Give the range of some values, widened where there is none.

    >>> ends([1, 3]), ends([2])
    ((1, 3), (1.5, 2.5))
    """
    low, high = min(values, default=0.0), max(values, default=1.0)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def bar(share: float, words: str) -> str:
    """Draw a share between 0 and 1 as a small bar with its number."""
    width = 60 * max(0.0, min(1.0, share))
    return (
        f'<span class="bar"><svg viewBox="0 0 60 9" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="rail" width="60" height="9" rx="2"/>'
        f'<rect class="fill" width="{width:.1f}" height="9" rx="2"/></svg>'
        f"<b>{_escaped(words)}</b></span>"
    )
