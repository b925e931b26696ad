"""Color votes: the channel that is highest on average, or highest in most pixels."""

from dataclasses import dataclass

import numpy as np

from wslabel.labeling.batch import Batch, Votes
from wslabel.schema import ABSTAIN

CHANNELS = ("blue", "green", "red")
"""OpenCV's order, which decides ties."""

PREFIX = {"mean": "mean", "pixel": "pixels"}


@dataclass(frozen=True)
class ColorVoter:
    """Votes by color; `classes` are class ids (or ABSTAIN) in the order of CHANNELS."""

    name: str
    feature: str
    statistic: str
    classes: tuple[int, int, int]

    @property
    def reads(self) -> tuple[str, ...]:
        """Columns of the color feature."""
        return tuple(f"{self.feature}.{PREFIX[self.statistic]}_{c}" for c in CHANNELS)

    def __call__(self, batch: Batch) -> Votes:
        """Vote; an image without colors abstains."""
        values_N3 = np.stack([batch[column] for column in self.reads], axis=1)
        # Missing means are NaN and missing counts -1; neither is a number of zero or more.
        known_N = (values_N3 >= 0).all(axis=1)
        winners_N = np.argmax(values_N3, axis=1)
        votes = np.array(self.classes, np.int8)[winners_N]
        return np.where(known_N, votes, np.int8(ABSTAIN))
