"""Resizing is Pillow's within one level, cropping is torchvision's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms import CenterCrop

from wslabel.config.preprocess import Preprocess
from wslabel.features import resize
from wslabel.features.decode import Decoded

FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
sides = st.integers(1, 90)


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def levels_apart(a: np.ndarray, b: np.ndarray) -> int:
    assert a.shape == b.shape
    return int(np.abs(a.astype(int) - b.astype(int)).max())


@pytest.mark.parametrize("interpolation", FILTERS)
@settings(deadline=None, max_examples=40)
@given(source=st.tuples(sides, sides), target=st.tuples(sides, sides), seed=st.integers(0, 99))
def test_resizing_up_and_down_is_pillows_within_a_level_or_two(
    interpolation: str, source: tuple[int, int], target: tuple[int, int], seed: int
) -> None:
    # Bicubic overshoots, by up to a third of the contrast: here nothing is cut off at 0 or 255.
    pixels = noise(*source, seed) // 2 + 64
    resized = resize.exact(Decoded(pixels_HW3=pixels, is_gray=False), target, interpolation)
    pillow = Image.fromarray(pixels).resize(target[::-1], FILTERS[interpolation])
    allowed = 1 if interpolation == "bilinear" else 2
    assert levels_apart(resized, np.asarray(pillow)) <= allowed


@pytest.mark.parametrize("target", [(224, 300), (500, 600), (32, 32)])
def test_full_contrast_is_pillows_but_for_single_pixels(target: tuple[int, int]) -> None:
    pixels = noise(300, 411)
    resized = resize.exact(Decoded(pixels_HW3=pixels, is_gray=False), target, "bicubic")
    pillow = Image.fromarray(pixels).resize(target[::-1], Image.Resampling.BICUBIC)
    apart = np.abs(resized.astype(int) - np.asarray(pillow).astype(int))
    assert (apart <= 1).mean() > 0.999
    assert apart.max() < 16


@settings(deadline=None, max_examples=100)
@given(height=sides, width=sides, size=st.integers(1, 60))
def test_cropping_is_torchvisions_padding_included(height: int, width: int, size: int) -> None:
    pixels = noise(height, width)
    theirs = CenterCrop(size)(Image.fromarray(pixels))
    assert np.array_equal(resize.center_crop(pixels, size), np.asarray(theirs))


@settings(deadline=None, max_examples=60)
@given(height=sides, width=sides, size=st.integers(1, 60))
def test_the_shorter_side_gets_its_size_and_the_longer_one_its_share(
    height: int, width: int, size: int
) -> None:
    resized = resize.shortest(
        Decoded(pixels_HW3=noise(height, width), is_gray=False), size, "bilinear"
    )
    short, long = sorted((height, width))
    assert sorted(resized.shape[:2]) == [size, int(size * long / short)]
    assert (resized.shape[0] >= resized.shape[1]) == (height >= width) or size == resized.shape[0]


def test_an_image_of_the_right_size_is_left_alone() -> None:
    pixels = noise(20, 30)
    resized = resize.exact(Decoded(pixels_HW3=pixels, is_gray=False), (20, 30), "bicubic")
    assert np.array_equal(resized, pixels)


def test_squashing_forgets_the_aspect() -> None:
    squash = Preprocess(resize=16, mode="squash", crop=16, interpolation="bicubic")
    pixels = noise(50, 20) // 2 + 64
    resized = resize.prepare(Decoded(pixels_HW3=pixels, is_gray=False), squash)
    pillow = Image.fromarray(pixels).resize((16, 16), Image.Resampling.BICUBIC)
    assert levels_apart(resized, np.asarray(pillow)) <= 1


def test_preparing_never_changes_the_image_itself() -> None:
    pixels = noise(40, 40)
    decoded = Decoded(pixels_HW3=pixels.copy(), is_gray=False)
    for size in (16, 40, 64):
        prepared = resize.prepare(decoded, Preprocess(resize=size, crop=48))
        assert prepared.shape == (48, 48, 3)
    assert np.array_equal(decoded.pixels_HW3, pixels)


def test_features_of_one_size_share_the_work() -> None:
    decoded = Decoded(pixels_HW3=noise(40, 50), is_gray=False)
    first = resize.shortest(decoded, 20, "bilinear")
    assert resize.exact(decoded, (20, 25), "bilinear") is first
    assert resize.exact(decoded, (20, 25), "bicubic") is not first


def test_a_read_only_image_is_resized_without_a_warning() -> None:
    pixels = noise(12, 12)
    pixels.flags.writeable = False
    assert resize.exact(Decoded(pixels_HW3=pixels, is_gray=False), (6, 6), "bilinear").shape == (
        6,
        6,
        3,
    )


@pytest.mark.parametrize("shape", [(1, 200_000), (200_000, 1), (2, 90_000)])
def test_a_line_of_pixels_is_not_enlarged_whole(shape: tuple[int, int]) -> None:
    pixels = np.zeros((*shape, 3), np.uint8)
    middle = tuple(
        slice(side // 2 - 1, side // 2 + 1) if side > 2 else slice(0, side) for side in shape
    )
    pixels[middle] = 255
    prepared = resize.prepare(Decoded(pixels_HW3=pixels, is_gray=False), Preprocess(resize=224))
    assert prepared.shape == (224, 224, 3)
    assert prepared[112, 112].tolist() == [255, 255, 255]


@settings(deadline=None, max_examples=20)
@given(short=st.integers(1, 3), times=st.integers(1, 5), is_tall=st.booleans())
def test_ends_are_cut_off_only_where_they_are_not_seen(
    short: int, times: int, is_tall: bool
) -> None:
    long = short * (resize.LONGEST + 2 * times)  # as much at both ends
    pixels = noise(long, short) if is_tall else noise(short, long)
    whole = resize.center_crop(
        resize.shortest(Decoded(pixels_HW3=pixels, is_gray=False), 8, "bicubic"), 6
    )
    how = Preprocess(resize=8, crop=6, interpolation="bicubic")
    prepared = resize.prepare(Decoded(pixels_HW3=pixels, is_gray=False), how)
    assert levels_apart(prepared, whole) <= 1
