"""What a worker learns from in one step: its part of a batch that all workers share."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Batch:
    """One worker's part of a batch.

    Attributes:
        inputs: Inputs of the worker's images, [n, ...].
        targets_NK: Labels of these images as probabilities; zeros where there is none.
        weights_N: What each image counts; 0 where there is no label.
        total: Sum of the weights in the whole batch.
        sizes: Number of images of each worker; one that has none looks at an image of weight 0.
        other: Another view of these images, [n, ...], where two are wanted.
    """

    inputs: np.ndarray
    targets_NK: np.ndarray
    weights_N: np.ndarray
    total: float
    sizes: tuple[int, ...]
    other: np.ndarray | None = None

    @property
    def count(self) -> int:
        """Number of images in the whole batch."""
        return sum(self.sizes)


class Examples(Protocol):
    """The images of some splits, with what a network is to learn from them."""

    def __call__(self, epoch: int, rank: int, world_size: int, first: int = 0) -> Iterator[Batch]:
        """Go through a worker's part of all batches, in the seeded order of an epoch.

        Args:
            epoch: Number of the epoch, from 0.
            rank: Number of the worker.
            world_size: Number of workers.
            first: Number of batches at the beginning that are left out, and not even loaded.
        """
        ...
