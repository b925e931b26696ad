"""Change images at random: flips, turns, zooms and crops in one resampling, colors in one matrix.

What happens to an image is drawn from a generator that the caller seeds, apart from doing it, so
it does not depend on which worker or thread does it.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch

from wslabel.config.optimization import Augmentations

LUMA = np.array([0.299, 0.587, 0.114])
TO_YIQ = np.array([LUMA, [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What is done to each image of a batch.

    Attributes:
        places_N23: Affine maps from places in the new image to places in the old one, in halves of
            its width and height; None where images are only flipped.
        flips_N2: Whether each image is flipped left to right, and upside down.
        colors_N33: Matrices for the colors of each image; None where colors stay.
        contrasts_N: Factor of each pixel's distance from its image's mean gray.
    """

    places_N23: np.ndarray | None
    flips_N2: np.ndarray
    colors_N33: np.ndarray | None
    contrasts_N: np.ndarray

    def take(self, rows: np.ndarray) -> "Changes":
        """Give the changes of some of the images."""
        return Changes(
            places_N23=None if self.places_N23 is None else self.places_N23[rows],
            flips_N2=self.flips_N2[rows],
            colors_N33=None if self.colors_N33 is None else self.colors_N33[rows],
            contrasts_N=self.contrasts_N[rows],
        )


def draw(settings: Augmentations, count: int, rng: np.random.Generator) -> Changes:
    """Draw what is done to each of `count` images."""
    wanted = np.array([settings.horizontal_flip, settings.vertical_flip])
    flips_N2 = (rng.random((count, 2)) < 0.5) & wanted
    moves = settings.rotation > 0 or settings.zoom > 0 or settings.crop < 1
    color_changes = (settings.brightness, settings.contrast, settings.saturation, settings.hue)
    recolors = max(*color_changes, settings.grayscale) > 0
    return Changes(
        places_N23=_draw_places(settings, flips_N2, rng) if moves else None,
        flips_N2=flips_N2,
        colors_N33=_draw_colors(settings, count, rng) if recolors else None,
        contrasts_N=1 + rng.uniform(-settings.contrast, settings.contrast, count),
    )


def _draw_places(
    settings: Augmentations, flips_N2: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    count = len(flips_N2)
    angle_N = rng.uniform(-1, 1, count) * math.radians(settings.rotation)
    side_N = np.sqrt(rng.uniform(settings.crop, 1, count)) / (
        1 + rng.uniform(-settings.zoom, settings.zoom, count)
    )
    # A crop may lie anywhere in the image; what is smaller than the image stays in its middle.
    free_N1 = np.maximum(0, 1 - side_N)[:, None]
    shift_N2 = rng.uniform(-1, 1, (count, 2)) * free_N1 * (settings.crop < 1)
    x_N, y_N = (side_N[:, None] * (1 - 2 * flips_N2)).T
    places_N23 = np.zeros((count, 2, 3), np.float32)
    places_N23[:, 0, 0], places_N23[:, 0, 1] = np.cos(angle_N) * x_N, -np.sin(angle_N) * y_N
    places_N23[:, 1, 0], places_N23[:, 1, 1] = np.sin(angle_N) * x_N, np.cos(angle_N) * y_N
    places_N23[:, :, 2] = shift_N2
    return places_N23


def _draw_colors(settings: Augmentations, count: int, rng: np.random.Generator) -> np.ndarray:
    """Draw matrices: a turn of the hue, a share of the color kept, then a factor of brightness."""
    turn_N = rng.uniform(-settings.hue, settings.hue, count) * 2 * math.pi
    kept_N = 1 + rng.uniform(-settings.saturation, settings.saturation, count)
    kept_N = np.where(rng.random(count) < settings.grayscale, 0.0, kept_N)
    light_N = 1 + rng.uniform(-settings.brightness, settings.brightness, count)
    turn_N33 = np.zeros((count, 3, 3))
    turn_N33[:, 0, 0] = 1
    turn_N33[:, 1, 1] = turn_N33[:, 2, 2] = np.cos(turn_N) * kept_N
    turn_N33[:, 1, 2] = -np.sin(turn_N) * kept_N
    turn_N33[:, 2, 1] = np.sin(turn_N) * kept_N
    colors_N33 = np.linalg.inv(TO_YIQ) @ turn_N33 @ TO_YIQ
    return np.asarray(colors_N33 * light_N[:, None, None], np.float32)


def apply(images_NHW3: np.ndarray, changes: Changes) -> np.ndarray:
    """Change uint8 images; what comes from outside of one is mirrored in."""
    images = _move(images_NHW3, changes)
    if changes.colors_N33 is None:
        return images
    pixels = images.reshape(len(images), -1, 3).astype(np.float32)
    pixels = pixels @ changes.colors_N33.transpose(0, 2, 1)
    gray_N11 = (pixels @ LUMA.astype(np.float32)).mean(axis=1)[:, None, None]
    contrasts_N11 = changes.contrasts_N.astype(np.float32)[:, None, None]
    pixels = gray_N11 + contrasts_N11 * (pixels - gray_N11)
    return np.asarray(pixels.round().clip(0, 255).astype(np.uint8).reshape(images.shape))


def _move(images_NHW3: np.ndarray, changes: Changes) -> np.ndarray:
    if changes.places_N23 is None:
        moved = images_NHW3.copy()
        moved[changes.flips_N2[:, 0]] = moved[changes.flips_N2[:, 0], :, ::-1]
        moved[changes.flips_N2[:, 1]] = moved[changes.flips_N2[:, 1], ::-1]
        return moved
    planes = torch.from_numpy(images_NHW3).permute(0, 3, 1, 2)
    # Places are in halves of width and height, so a turn must know the shape.
    height, width = images_NHW3.shape[1:3]
    ratio = np.array([[[1, height / width, 1], [width / height, 1, 1]]], np.float32)
    matrix = torch.from_numpy(changes.places_N23 * ratio)
    grid = torch.nn.functional.affine_grid(matrix, list(planes.shape), align_corners=False)
    sampled = torch.nn.functional.grid_sample(
        planes.float(), grid, padding_mode="reflection", align_corners=False
    )
    return np.asarray(sampled.round_().clamp_(0, 255).byte().permute(0, 2, 3, 1).numpy())
