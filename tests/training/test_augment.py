"""Images are changed at random as the settings say, and by nothing but the seed."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms.v2 import functional as reference

from wslabel.config.optimization import Augmentations
from wslabel.training.augment import Changes, apply, draw


def photos(count: int, height: int = 8, width: int = 12) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3), np.uint8)


def changed(images: np.ndarray, seed: int = 0, **how: Any) -> np.ndarray:
    settings_ = Augmentations.model_validate(how)
    return apply(images, draw(settings_, len(images), np.random.default_rng(seed)))


def test_without_any_change_images_stay_as_they_are() -> None:
    assert np.array_equal(changed(photos(4), horizontal_flip=False), photos(4))


@pytest.mark.parametrize(("key", "axis"), [("horizontal_flip", 1), ("vertical_flip", 0)])
@pytest.mark.parametrize("more", [{}, {"rotation": 1e-6}], ids=["exact", "resampled"])
def test_some_images_are_flipped_and_others_not(key: str, axis: int, more: dict[str, Any]) -> None:
    images = photos(40)
    found = changed(images, **{"horizontal_flip": False, key: True}, **more).astype(int)
    flipped = 0
    for before, after in zip(images.astype(int), found, strict=True):
        is_flipped = np.abs(after - np.flip(before, axis)).max() <= 1
        assert is_flipped or np.abs(after - before).max() <= 1
        flipped += is_flipped
    assert 8 < flipped < 32


def test_turned_and_zoomed_images_show_nothing_from_outside() -> None:
    images = np.full((8, 10, 14, 3), 170, np.uint8)
    assert np.array_equal(changed(images, rotation=180, zoom=0.5, crop=0.3), images)


def test_a_turned_circle_stays_a_circle_though_images_are_wide() -> None:
    y, x = np.meshgrid(np.arange(40) - 19.5, np.arange(80) - 39.5, indexing="ij")
    circle = np.tile(((x**2 + y**2) < 8**2)[None, :, :, None] * 255, (6, 1, 1, 3)).astype(np.uint8)
    found = changed(circle, rotation=90)
    # Further out a turned image shows what is mirrored in, the circle again.
    apart = np.abs(found.astype(int) - circle)[:, :, 20:60]
    assert apart.mean() < 0.02 * 255


def test_crops_show_parts_of_the_image_at_random_places() -> None:
    ramp = np.tile(np.linspace(0, 255, 64)[None, None, :, None], (200, 8, 1, 3)).astype(np.uint8)
    found = changed(ramp, horizontal_flip=False, crop=0.25).astype(float)
    left, right = found[:, 4, 1, 0], found[:, 4, -2, 0]
    # The side of a crop is the root of its share of the area: half the image at the least.
    widths = (right - left) / 255
    assert 0.45 < widths.min() < 0.65 < 0.9 < widths.max() <= 1
    middles = (left + right) / 2 / 255
    assert middles.min() < 0.35 < 0.65 < middles.max()
    assert found.min() >= 0


@pytest.mark.parametrize(
    ("key", "share", "theirs"),
    [
        ("brightness", 0.4, reference.adjust_brightness),
        ("saturation", 0.7, reference.adjust_saturation),
        ("contrast", 0.5, reference.adjust_contrast),
    ],
)
def test_colors_change_as_torchvisions(key: str, share: float, theirs: Any) -> None:
    images = photos(20) // 3 + 80  # so that nothing is cut off
    how = Augmentations.model_validate({"horizontal_flip": False, key: share})
    changes = draw(how, 20, np.random.default_rng(3))
    found = apply(images, changes).astype(int)
    for index, image in enumerate(images):
        assert changes.colors_N33 is not None
        if key == "contrast":
            factor = float(changes.contrasts_N[index])
        elif key == "brightness":
            factor = float(changes.colors_N33[index, 0, 0])
        else:
            factor = float((changes.colors_N33[index, 0, 0] - 0.299) / 0.701)
        assert 1 - share <= factor <= 1 + share
        expected = theirs(torch.from_numpy(image).permute(2, 0, 1), factor)
        assert np.abs(found[index] - expected.permute(1, 2, 0).numpy().astype(int)).max() <= 3


def test_grayscale_takes_the_color_from_some() -> None:
    found = changed(photos(60), grayscale=0.5, horizontal_flip=False).astype(int)
    is_gray = (found.max(axis=3) - found.min(axis=3)).max(axis=(1, 2)) <= 1
    assert 15 < is_gray.sum() < 45
    assert np.array_equal(found[~is_gray], photos(60)[~is_gray])


def test_a_turn_of_the_hue_keeps_brightness() -> None:
    images = photos(20) // 4 + 96
    found = changed(images, hue=0.5, horizontal_flip=False)
    luma = np.array([0.299, 0.587, 0.114])
    assert np.abs(found @ luma - images @ luma).max() < 1.5
    assert np.abs(found.astype(int) - images).max() > 20


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 1000), rows=st.lists(st.integers(0, 9), max_size=10, unique=True))
def test_what_is_drawn_is_the_images_own_whoever_does_it(seed: int, rows: list[int]) -> None:
    how = Augmentations(rotation=20, zoom=0.2, crop=0.5, brightness=0.3, hue=0.1)
    images = photos(10)
    changes = draw(how, 10, np.random.default_rng(seed))
    whole, chosen = apply(images, changes), np.array(rows, int)
    part: Changes = changes.take(chosen)
    if rows:
        assert np.array_equal(apply(images[chosen], part), whole[chosen])


def test_inputs_are_left_alone() -> None:
    images = photos(6)
    changed(images, crop=0.5, brightness=0.5)
    changed(images)
    assert np.array_equal(images, photos(6))
