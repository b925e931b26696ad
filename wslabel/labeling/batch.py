"""What labeling functions see: columns by name, truth never among them."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np

Batch = Mapping[str, np.ndarray]
"""Columns as arrays of equal length: `image_id`, metadata by name, features as `feature.column`."""

Votes = np.ndarray
"""int8 [n]: a class id or ABSTAIN."""


class Voter(Protocol):
    """A labeling function with its constants: a pure function of columns to votes."""

    @property
    def name(self) -> str:
        """Name of its column in the votes table."""
        ...

    @property
    def reads(self) -> tuple[str, ...]:
        """Columns it looks at."""
        ...

    def __call__(self, batch: Batch) -> Votes:
        """Vote on every image of a batch."""
        ...
