"""Decoded images that a process keeps for the next epoch."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from wslabel.examples.inputs import Inputs

KEPT_BYTES = 256 * 2**20

Key = tuple[int, int]
"""An image: its shard, and its row in it."""


class DecodedImages:
    """Decoded images of one kind of inputs, up to a number of bytes; the first to come stay.

    All examples of one process may share it: what is asked for with other inputs takes the place of
    what was kept before. In another process it starts empty.
    """

    def __init__(self, max_bytes: int = KEPT_BYTES) -> None:
        self._max_bytes = max_bytes
        # One attribute, which threads exchange as a whole: never images of other inputs.
        self._kept: tuple[object, dict[Key, np.ndarray]] = (None, {})

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to other processes without any image."""
        return DecodedImages, (self._max_bytes,)

    def __len__(self) -> int:
        """Count the images that are kept."""
        return len(self._kept[1])

    def decode(self, inputs: Inputs, stored: np.ndarray, keys: Sequence[Key]) -> np.ndarray:
        """Turn what is stored of some images into what a network takes, or take what is kept.

        Args:
            inputs: What the network reads; embeddings are not kept, since they need no decoding.
            stored: What is stored of each image.
            keys: Which images these are.
        """
        if inputs.preprocess is None:
            return inputs.decode(stored)
        kept = self._of(inputs)
        is_new = np.array([key not in kept for key in keys], bool)
        crop = inputs.preprocess.crop
        pixels_NHW3 = np.empty((len(keys), crop, crop, 3), np.uint8)
        pixels_NHW3[is_new] = inputs.decode(stored[is_new])
        for index, key in enumerate(keys):
            if not is_new[index]:
                pixels_NHW3[index] = kept[key]
            elif (len(kept) + 1) * pixels_NHW3[index].nbytes <= self._max_bytes:
                kept[key] = pixels_NHW3[index].copy()
        return pixels_NHW3

    def _of(self, inputs: Inputs) -> dict[Key, np.ndarray]:
        identity, kept = self._kept
        if identity != inputs.identity:
            kept = {}
            self._kept = (inputs.identity, kept)
        return kept
