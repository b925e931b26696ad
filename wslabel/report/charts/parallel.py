"""Trials across several keys."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from wslabel.report.cells import written
from wslabel.report.charts import svg
from wslabel.report.presentation import Kind

STEP, TALL = 150, 220
TOP, BASE = 34, TALL - 16
APART = 13
"""Least distance of two values written at one axis."""


@dataclass(frozen=True, kw_only=True)
class ParallelChart:
    """One line per trial across one upright axis per key; the last axis gives its shade.

    Attributes:
        title: What the trials are.
        axes: Values of all trials by key.
        note: A sentence below.
        is_wide: Whether it wants the width of two.
    """

    title: str
    axes: Mapping[str, Sequence[object]]
    note: str = ""
    is_wide: bool = True

    def svg(self) -> str:
        """Draw the trials and, so that no line hides a word, the axes with their values above."""
        shares = [_shares(values) for values in self.axes.values()]
        parts: list[str] = []
        for trial in range(len(shares[0])):
            points = [(_x(index), _y(own[trial])) for index, own in enumerate(shares)]
            parts.append(svg.path(points, 0.15 + 0.85 * shares[-1][trial]))
        for index, (name, values) in enumerate(self.axes.items()):
            parts += _axis(index, name, dict(zip(map(_label, values), shares[index], strict=True)))
        return svg.drawing(self.title, parts, _x(len(shares) - 1) + 70, TALL)


def _x(index: int) -> float:
    return 60.0 + STEP * index


def _y(share: float) -> float:
    return BASE - (BASE - TOP) * share


def _axis(index: int, name: str, labels: Mapping[str, float]) -> Iterator[str]:
    x = _x(index)
    yield svg.line((x, TOP), (x, BASE), "axis")
    yield svg.text((x, 14), name.rpartition(".")[2], "middle")
    for label, share in _spaced(labels):
        yield svg.text((x + 6, _y(share) + 4), label)


def _spaced(labels: Mapping[str, float]) -> Iterator[tuple[str, float]]:
    """Choose the values that can be written without hiding one another: first the greatest."""
    last = 2.0
    for label, share in sorted(labels.items(), key=lambda pair: -pair[1]):
        if _y(share) - _y(last) >= APART:
            last = share
            yield label, share


def _shares(values: Sequence[object]) -> list[float]:
    """Place values between 0 and 1: numbers by size, others by their order.

    >>> _shares([1, 3, 2]), _shares(["b", "a"])
    ([0.0, 1.0, 0.5], [0.75, 0.25])
    """
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    if len(numbers) == len(values):
        low, high = svg.ends(numbers)
        return [(value - low) / (high - low) for value in numbers]
    names = sorted({_label(value) for value in values})
    return [(names.index(_label(value)) + 0.5) / len(names) for value in values]


def _label(value: object) -> str:
    return written(value, Kind.VALUE)
