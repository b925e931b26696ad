"""Labeling functions of the demo in Python: a batch of columns to votes, 0 jungle, 1 sea."""

from collections.abc import Mapping

import numpy as np

JUNGLE, ABSTAIN = 0, -1


def deep_green(batch: Mapping[str, np.ndarray]) -> np.ndarray:
    """A green that outshines red and blue by far is leaves; a green lake misleads it."""
    red, green, blue = (batch[f"color_mean_{c}"] for c in ("red", "green", "blue"))
    return np.where(green > 1.4 * np.maximum(red, blue), JUNGLE, ABSTAIN)
