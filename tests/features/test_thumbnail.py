"""A thumbnail is a small JPEG that looks like the image."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.projects import Change, assert_refused, put
from wslabel.features.decode import Decoded, decode
from wslabel.features.thumbnail import ThumbnailConfig


def gradient(height: int, width: int) -> np.ndarray:
    rows, columns = np.mgrid[0:height, 0:width]
    planes = (rows * 255 / height, columns * 255 / width, np.full((height, width), 80))
    return np.stack(planes, axis=2).astype(np.uint8)


def made(pixels: np.ndarray, size: int, quality: int = 90) -> bytes:
    settings = ThumbnailConfig(kind="thumbnail", size=size, quality=quality)
    (jpeg,) = settings.compute(Decoded(pixels_HW3=pixels, is_gray=False))
    return jpeg


@pytest.mark.parametrize(
    ("shape", "expected"), [((100, 60), (53, 32)), ((60, 100), (32, 53)), ((64, 64), (32, 32))]
)
def test_the_shorter_side_has_the_size(shape: tuple[int, int], expected: tuple[int, int]) -> None:
    assert decode(made(gradient(*shape), 32), 10**6).pixels_HW3.shape == (*expected, 3)


def test_a_smaller_image_keeps_its_size() -> None:
    assert decode(made(gradient(20, 31), 256), 10**6).pixels_HW3.shape == (20, 31, 3)


def test_it_looks_like_the_image() -> None:
    pixels = gradient(120, 90)
    small = decode(made(pixels, 45), 10**6).pixels_HW3
    pillow = Image.fromarray(pixels).resize((45, 60), Image.Resampling.BICUBIC)
    assert np.abs(small.astype(int) - np.asarray(pillow).astype(int)).mean() < 3


def test_it_is_a_jpeg_of_the_quality_asked_for() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    assert Image.open(io.BytesIO(made(noise, 64))).format == "JPEG"
    assert len(made(noise, 64, 30)) < len(made(noise, 64, 90))


def test_the_same_image_gives_the_same_bytes() -> None:
    assert made(gradient(70, 50), 32) == made(gradient(70, 50), 32)


def test_it_fills_the_column_that_holds_the_picture() -> None:
    settings = ThumbnailConfig(kind="thumbnail")
    assert settings.columns(None).names == [settings.picture_column] == ["jpeg"]


WRONG: dict[str, tuple[Change, list[str]]] = {
    "a negative size": (
        put("features", "thumbnail", "size", value=-1),
        [": features.thumbnail.size: ", "greater than or equal to 16", "found -1"],
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_settings_are_refused_plainly(home: Path, name: str) -> None:
    change, parts = WRONG[name]
    assert_refused(home, change, parts)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((300, 100_000), (196, 65_500)), ((100_000, 300), (65_500, 196)), ((1, 99_999), (1, 65_500))],
)
def test_a_longer_side_than_a_jpeg_can_have_is_shortened(
    shape: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert decode(made(np.zeros((*shape, 3), np.uint8), 256), 10**8).pixels_HW3.shape == (
        *expected,
        3,
    )
