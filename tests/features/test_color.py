"""Colors are measured as the tutorial does it, over OpenCV's channel order."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from wslabel.features.color import COLUMNS, ColorConfig
from wslabel.features.decode import Decoded

SETTINGS = ColorConfig(kind="color")


@st.composite
def images(draw: st.DrawFn) -> np.ndarray:
    shape = draw(st.integers(1, 40)), draw(st.integers(1, 40)), 3
    levels = draw(st.sampled_from([1, 2, 3, 256]))  # few levels make many ties
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    return rng.integers(256 - levels, 256, shape, np.uint8)


def measured(pixels_HW3: np.ndarray) -> dict[str, float | int | None]:
    values = SETTINGS.compute(Decoded(pixels_HW3=pixels_HW3, is_gray=False))
    return dict(zip(COLUMNS.names, values, strict=True))


def plainly(pixels_HW3: np.ndarray) -> dict[str, float | int]:
    bgr_HW3 = pixels_HW3[:, :, ::-1]
    means = bgr_HW3.mean(axis=(0, 1))
    wins = np.bincount(bgr_HW3.argmax(axis=2).ravel(), minlength=3)
    return {
        f"{statistic}_{channel}": values[index].item()
        for statistic, values in (("mean", means), ("pixels", wins))
        for index, channel in enumerate(("blue", "green", "red"))
    }


@settings(deadline=None, max_examples=150)
@given(images())
@example(np.zeros((1, 1, 3), np.uint8))
@example(np.full((7, 5, 3), 255, np.uint8))
def test_colors_are_those_of_a_plain_computation(pixels_HW3: np.ndarray) -> None:
    assert measured(pixels_HW3) == plainly(pixels_HW3)


def test_a_large_bright_image_overflows_nothing() -> None:
    pixels = np.full((4100, 4100, 3), 255, np.uint8)
    pixels[0, 0] = (0, 1, 2)
    assert measured(pixels) == plainly(pixels)


@settings(deadline=None, max_examples=50)
@given(images())
def test_every_pixel_is_won_once(pixels_HW3: np.ndarray) -> None:
    colors = measured(pixels_HW3)
    wins = [colors[f"pixels_{channel}"] for channel in ("red", "green", "blue")]
    assert sum(wins) == pixels_HW3.shape[0] * pixels_HW3.shape[1]


@pytest.mark.parametrize(
    ("pixel", "winner"),
    [
        ((9, 9, 9), "blue"),
        ((9, 9, 1), "green"),
        ((9, 1, 9), "blue"),
        ((1, 9, 9), "blue"),
        ((9, 8, 8), "red"),
    ],
)
def test_a_tie_goes_to_blue_then_green(pixel: tuple[int, int, int], winner: str) -> None:
    colors = measured(np.array([[pixel]], np.uint8))
    assert {c: colors[f"pixels_{c}"] for c in ("red", "green", "blue")} == {
        c: int(c == winner) for c in ("red", "green", "blue")
    }


def test_an_image_stored_without_colors_gives_nulls() -> None:
    gray = Decoded(pixels_HW3=np.full((4, 4, 3), 90, np.uint8), is_gray=True)
    assert SETTINGS.compute(gray) == (None,) * len(COLUMNS)


def test_a_view_of_a_larger_image_is_measured_alone() -> None:
    large = np.random.default_rng(3).integers(0, 256, (40, 30, 3), np.uint8)
    view = large[5:25:2, ::-1]
    assert measured(view) == plainly(view.copy())


def test_its_columns_need_no_network() -> None:
    assert SETTINGS.columns(None) == COLUMNS
    assert not SETTINGS.stores_embedding
    assert not SETTINGS.stores_categories
