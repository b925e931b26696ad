"""Color votes are the tutorial's: the highest channel wins, ties go blue, green, red."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.projects import Change, assert_refused, put
from wslabel.labeling.color import ColorLF
from wslabel.schema import ABSTAIN

JUNGLE, SEA, FIRE = 0, 1, 2
ALL = (SEA, JUNGLE, FIRE)
Pixel = tuple[float, float, float]


def vote(statistic: str, *bgr: Pixel, classes: tuple[int, int, int] = ALL) -> list[int]:
    dtype = float if statistic == "mean" else np.int32
    prefix = {"mean": "mean", "pixel": "pixels"}[statistic]
    columns = {
        f"c.{prefix}_{name}": np.array([values[i] for values in bgr], dtype)
        for i, name in enumerate(("blue", "green", "red"))
    }
    votes = ColorLF(name="lf", feature="c", statistic=statistic, classes=classes)(columns)
    assert votes.dtype == np.int8
    return votes.tolist()


@pytest.mark.parametrize("statistic", ["mean", "pixel"])
def test_the_highest_channel_votes(statistic: str) -> None:
    assert vote(statistic, (9, 1, 1), (1, 9, 1), (1, 1, 9)) == [SEA, JUNGLE, FIRE]


@pytest.mark.parametrize("statistic", ["mean", "pixel"])
def test_ties_go_to_blue_then_green(statistic: str) -> None:
    assert vote(statistic, (5, 5, 5), (1, 5, 5), (5, 1, 5)) == [SEA, JUNGLE, SEA]


def test_means_that_differ_little_stay_different() -> None:
    assert vote("mean", (100.0, np.nextafter(100.0, 101), 3)) == [JUNGLE]


def test_a_channel_without_a_class_abstains() -> None:
    classes = (SEA, JUNGLE, ABSTAIN)
    assert vote("mean", (1, 1, 9), (9, 1, 1), classes=classes) == [ABSTAIN, SEA]


def test_an_image_without_colors_abstains() -> None:
    nan = float("nan")
    assert vote("mean", (nan, nan, nan), (1, 9, 1)) == [ABSTAIN, JUNGLE]
    assert vote("pixel", (-1, -1, -1), (1, 9, 1)) == [ABSTAIN, JUNGLE]


def test_it_reads_only_its_statistic() -> None:
    assert ColorLF(name="lf", feature="c", statistic="pixel", classes=ALL).reads == (
        "c.pixels_blue",
        "c.pixels_green",
        "c.pixels_red",
    )


@settings(deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 4)] * 3), min_size=1, max_size=30))
def test_votes_are_numpys_argmax_over_bgr(pixels: list[tuple[int, int, int]]) -> None:
    assert vote("pixel", *pixels) == [ALL[i] for i in np.argmax(pixels, axis=1)]


WRONG: dict[str, tuple[Change, list[str]]] = {
    "unknown class of a vote": (
        put("labeling_functions", 0, "votes", "blue", value="see"),
        [": labeling_functions[0] (mean)", "unknown class 'see'", "did you mean 'sea'?"],
    ),
    "a color that is none": (
        put("labeling_functions", 0, "votes", value={"purple": "sea"}),
        [
            ": labeling_functions[0] (mean).votes.purple: ",
            "'red', 'green' or 'blue'",
            "found 'purple'",
        ],
    ),
    "misspelled statistic": (
        put("labeling_functions", 0, "statistic", value="median"),
        [": labeling_functions[0] (mean).statistic: ", "'mean' or 'pixel'", "found 'median'"],
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_settings_are_refused_plainly(home: Path, name: str) -> None:
    change, parts = WRONG[name]
    assert_refused(home, change, parts)
