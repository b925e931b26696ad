"""Color feature: the mean of each channel, and in how many pixels each channel is the highest."""

from typing import Literal

import numpy as np
import pyarrow as pa

from wslabel.features.decode import Decoded
from wslabel.features.feature import ImageFeatureConfig
from wslabel.features.model_info import ModelInfo

COLUMNS = pa.schema(
    [
        pa.field("mean_red", pa.float64()),
        pa.field("mean_green", pa.float64()),
        pa.field("mean_blue", pa.float64()),
        pa.field("pixels_red", pa.int32()),
        pa.field("pixels_green", pa.int32()),
        pa.field("pixels_blue", pa.int32()),
    ]
)
"""Mean of each channel in 0..255, and in how many pixels each channel is the highest."""

ROWS = 128
"""Rows taken at a time: they stay in the cache, and column sums of 128 bytes fit 16 bits."""


class ColorConfig(ImageFeatureConfig):
    """Channel means and the count of pixels that each channel wins.

    Attributes:
        kind: color.
    """

    kind: Literal["color"]

    def columns(self, info: ModelInfo | None) -> pa.Schema:
        """Give three means and three counts."""
        return COLUMNS

    def compute(self, decoded: Decoded) -> tuple[float | int | None, ...]:
        """Measure an image's colors at full size; nulls for an image stored without colors.

        A tie between channels in a pixel goes to the first in the order blue, green, red, as
        numpy's argmax over OpenCV's channel order has it.
        """
        if decoded.is_gray:
            return (None,) * len(COLUMNS)
        sums_3, wins_blue, wins_red = np.zeros(3, np.uint64), 0, 0
        for start in range(0, len(decoded.pixels_HW3), ROWS):
            part = decoded.pixels_HW3[start : start + ROWS]
            red, green, blue = planes = [np.ascontiguousarray(part[:, :, c]) for c in range(3)]
            wins_blue += int(np.count_nonzero(blue >= np.maximum(green, red)))
            wins_red += int(np.count_nonzero(red > np.maximum(green, blue)))
            sums_3 += [plane.sum(axis=0, dtype=np.uint16).sum(dtype=np.uint64) for plane in planes]
        num_pixels = decoded.pixels_HW3.size // 3
        # Sums of bytes are exact integers, so means that differ stay different as float64.
        means = [int(total) / num_pixels for total in sums_3]
        return (*means, wins_red, num_pixels - wins_red - wins_blue, wins_blue)
