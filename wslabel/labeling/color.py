"""Color votes: the channel that is highest on average, or highest in most pixels."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from wslabel.labeling.labeling_function import (
    Batch,
    LabelingFunction,
    LFConfig,
    LFContext,
    MadeFunction,
    Outline,
    Votes,
    class_id,
)
from wslabel.schema import ABSTAIN

CHANNELS = ("blue", "green", "red")
"""OpenCV's order, which decides ties."""

PREFIX = {"mean": "mean", "pixel": "pixels"}


class ColorLFConfig(LFConfig):
    """Votes by the channel that is highest on average, or highest in most pixels.

    Attributes:
        name: Name of the function and of its column in the votes table.
        kind: color.
        feature: The color feature that it reads.
        statistic: mean compares the channels' means over all pixels, pixel counts the pixels in
            which each channel is the highest.
        votes: Class by channel (red, green, blue); a channel that is not named abstains.
    """

    kind: Literal["color"]
    feature: str = "color"
    statistic: Literal["mean", "pixel"]
    votes: dict[Literal["red", "green", "blue"], str]

    def check(self, where: str, outline: Outline) -> None:
        """Refuse unknown classes and a feature that is not of colors."""
        for name in self.votes.values():
            outline.check_class(where, name)
        outline.check_feature(f"{where}.feature", self.feature, "color")

    def make(self, context: LFContext) -> MadeFunction:
        """Turn class names into ids."""
        blue, green, red = (
            class_id(context, self.votes[channel]) if channel in self.votes else ABSTAIN
            for channel in CHANNELS
        )
        function = ColorLF(
            name=self.name,
            feature=self.feature,
            statistic=self.statistic,
            classes=(blue, green, red),
        )
        return MadeFunction(function, self)


@dataclass(frozen=True, kw_only=True)
class ColorLF(LabelingFunction):
    """Votes by color.

    Attributes:
        name: Name of the function.
        feature: The color feature that it reads.
        statistic: mean or pixel.
        classes: Class id, or ABSTAIN, of each channel in the order of CHANNELS.
    """

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
