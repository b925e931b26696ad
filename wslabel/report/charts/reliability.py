"""Accuracy against confidence."""

from collections.abc import Iterator
from dataclasses import dataclass

from wslabel.metrics import Calibration
from wslabel.report.charts import svg
from wslabel.report.charts.svg import PAD

SIZE = 220
LEFT = 34


@dataclass(frozen=True, kw_only=True)
class ReliabilityChart:
    """How often labels are right, by how sure they are, beside the diagonal of calibration.

    Attributes:
        title: Whose labels these are.
        calibration: Images counted by confidence.
        note: A sentence below.
        is_wide: Whether it wants the width of two.
    """

    title: str
    calibration: Calibration
    note: str = ""
    is_wide: bool = False

    def svg(self) -> str:
        """Draw a dot per bin, the larger the more images are in it."""
        parts = [svg.line(_place(0, 0), _place(1, 1), "axis"), *_ticks(), *self._dots()]
        parts.append(svg.text(_place(0.5, 0, down=28), "confidence", "middle"))
        parts.append(svg.text((2, 12), "accuracy"))
        return svg.drawing(self.title, parts, LEFT + SIZE, SIZE + 12)

    def _dots(self) -> Iterator[str]:
        bins = self.calibration
        most = max(1, int(bins.counts_B.max(initial=0)))
        for count, confidence, correct in zip(
            bins.counts_B, bins.confidence_B, bins.correct_B, strict=True
        ):
            if count:
                sure, right = confidence / count, correct / count
                tip = f"{int(count):,} images: confidence {sure:.3f}, accuracy {right:.3f}"
                yield svg.dot(_place(sure, right), 2.5 + 6 * (count / most) ** 0.5, tip)


def _place(x: float, y: float, down: float = 0) -> svg.Point:
    inner = SIZE - 2 * PAD
    return LEFT + inner * x, SIZE - PAD - inner * y + down


def _ticks() -> Iterator[str]:
    for value in (0.0, 0.5, 1.0):
        (x, y), (left, level) = _place(value, 0, down=14), _place(0, value, down=4)
        yield svg.text((x, y), f"{value:g}", "middle")
        yield svg.text((left - 8, level), f"{value:g}", "end")
