"""Charts show the data they are given: marks where they belong, all within the frame."""

import re

import numpy as np
import pytest

from tests.report.test_page import charts
from wslabel.metrics import calibrate
from wslabel.report.charts.dots import DotChart, Dots
from wslabel.report.charts.histogram import HistogramChart
from wslabel.report.charts.lines import LineChart
from wslabel.report.charts.parallel import ParallelChart
from wslabel.report.charts.reliability import ReliabilityChart
from wslabel.report.presentation import Chart
from wslabel.report.statistics import Histogram


def places(drawing: str, mark: str, *names: str) -> np.ndarray:
    """Give attributes of all marks of a kind."""
    tags = re.findall(rf"<{mark} [^>]*>", drawing)
    return np.array([[float(re.search(rf'\b{n}="(-?[\d.]+)"', t)[1]) for n in names] for t in tags])  # type: ignore[index]


@pytest.mark.parametrize("chart", charts(), ids=lambda chart: type(chart).__name__)
def test_everything_is_within_the_frame(chart: Chart) -> None:
    drawing = chart.svg()
    width, height = map(float, re.search(r'viewBox="0 0 (\d+) (\d+)"', drawing).groups())  # type: ignore[union-attr]
    at = np.concatenate(
        [places(drawing, "text", "x", "y"), places(drawing, "circle", "cx", "cy").reshape(-1, 2)]
    )
    assert (at >= 0).all()
    assert (at[:, 0] <= width).all()
    assert (at[:, 1] <= height).all()
    assert chart.note


def test_bars_are_as_high_as_the_counts() -> None:
    chart = HistogramChart(title="t", histogram=Histogram(0, 1, np.array([1, 0, 4, 2])))
    tall = places(chart.svg(), "rect", "height")[:, 0]
    assert tall / tall.max() == pytest.approx(np.array([1, 4, 2]) / 4, abs=0.01)


def test_a_mark_beyond_the_values_stands_at_their_end() -> None:
    histogram = Histogram(0, 1, np.array([1, 1]))
    marks = (("above", 5.0), ("below", 0.5), ("far below", -5.0))
    drawing = HistogramChart(title="t", histogram=histogram, marks=marks).svg()
    x = [float(x) for x in re.findall(r'class="mark" x1="([\d.]+)"', drawing)]
    assert x[0] > x[1] > x[2]
    assert x[0] == 320 - 24
    assert x[2] == 24
    assert "above 5" in drawing


def test_dots_of_equal_values_stand_below_one_another() -> None:
    rows = (Dots("a", (0.5, 1.0)), Dots("b", (0.5,)))
    x, y = places(DotChart(title="t", rows=rows).svg(), "circle", "cx", "cy").T
    assert x[0] == x[2] < x[1]
    assert y[0] == y[1] < y[2]
    assert Dots("a", (0.5, 1.0)).mean == 0.75


def test_a_single_value_is_drawn_too() -> None:
    assert places(DotChart(title="t", rows=(Dots("a", (0.5,)),)).svg(), "circle", "cx").shape == (
        1,
        1,
    )
    assert places(LineChart(title="t", series={"a": [0.5]}).svg(), "circle", "cx").shape == (1, 1)
    drawing = ParallelChart(title="t", axes={"key": ["soft"], "score": [0.9]}).svg()
    assert drawing.count("<polyline") == 1


def test_the_better_a_round_the_higher_its_dot() -> None:
    y = places(LineChart(title="t", series={"a": [0.1, 0.9, 0.5]}).svg(), "circle", "cy")[:, 0]
    assert y[1] < y[2] < y[0]


def test_perfect_calibration_lies_on_the_diagonal() -> None:
    rng = np.random.default_rng(0)
    sure_N = rng.uniform(0.5, 1, 20_000)
    truth_N = (rng.random(20_000) > sure_N).astype(int)
    calibration = calibrate(truth_N, np.stack([sure_N, 1 - sure_N], axis=1))
    drawing = ReliabilityChart(title="t", calibration=calibration).svg()
    x, y = places(drawing, "circle", "cx", "cy").T
    assert np.polyfit(x, y, 1)[0] == pytest.approx(-1, abs=0.1)
    assert len(x) == 8


def test_values_that_would_hide_one_another_are_not_written() -> None:
    scores = [index / 1_000 for index in range(1_000)]
    axes = {"key": ["a"] * 1_000, "score": scores}
    words = re.findall(r">([\d.]+)</text>", ParallelChart(title="t", axes=axes).svg())
    assert 5 < len(words) < 20
    assert "0.999" in words
