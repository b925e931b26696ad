"""Color: the mean of each channel, and in how many pixels each channel is the highest."""

import numpy as np

from wslabel import schema
from wslabel.features.decode import Decoded
from wslabel.settings import Color


def compute(decoded: Decoded, _: Color) -> tuple[float | int | None, ...]:
    """Measure an image's colors at full size; nulls for an image stored without colors.

    A tie between channels in a pixel goes to the first in the order blue, green, red, as numpy's
    argmax over OpenCV's channel order has it.
    """
    if decoded.is_gray:
        return (None,) * len(schema.COLOR)
    red, green, blue = (np.ascontiguousarray(c) for c in np.moveaxis(decoded.pixels_HW3, 2, 0))
    num_pixels = red.size
    # Sums of bytes are exact integers, so means that differ stay different as float64.
    means = [int(channel.sum(dtype=np.uint64)) / num_pixels for channel in (red, green, blue)]
    wins_blue = int(np.count_nonzero(blue >= np.maximum(green, red)))
    wins_red = int(np.count_nonzero(red > np.maximum(green, blue)))
    return (*means, wins_red, num_pixels - wins_red - wins_blue, wins_blue)
