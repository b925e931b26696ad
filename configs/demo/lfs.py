"""Labeling functions of the demo in Python: a batch of columns to votes, 0 jungle, 1 sea."""

from collections.abc import Mapping

import numpy as np

JUNGLE, SEA, ABSTAIN = 0, 1, -1


def much_blue_some_green(batch: Mapping[str, np.ndarray]) -> np.ndarray:
    """Blue in most pixels is the sea, green in most is the jungle; a mixture says nothing."""
    blue = batch["color_pixels_blue"]
    green = batch["color_pixels_green"]
    share = blue / np.maximum(blue + green + batch["color_pixels_red"], 1)
    return np.where(share > 0.85, SEA, np.where(share < 0.05, JUNGLE, ABSTAIN))
