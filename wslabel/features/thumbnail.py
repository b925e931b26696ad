"""Thumbnail feature: a small JPEG, so that training and people never fetch the original again."""

import io
from typing import ClassVar, Literal

import pyarrow as pa
from PIL import Image
from pydantic import Field

from wslabel.features.decode import Decoded
from wslabel.features.feature import ImageFeatureConfig
from wslabel.features.model_info import ModelInfo

LONGEST = 65_500
"""Pixels of the longest side that a JPEG can have."""


class ThumbnailConfig(ImageFeatureConfig):
    """A small JPEG of the image.

    Attributes:
        kind: thumbnail.
        size: Pixels of the shorter side; a smaller image keeps its size, and a longer side than a
            JPEG can have becomes as long as it can.
        quality: JPEG quality, 1 to 100.
    """

    kind: Literal["thumbnail"]
    size: int = Field(256, ge=16, le=4096)
    quality: int = Field(90, ge=1, le=100)

    picture_column: ClassVar[str | None] = "jpeg"

    @property
    def max_pixels(self) -> int:
        """Give the most pixels that one of them has, of an image as long as can be."""
        return self.size * LONGEST

    def columns(self, info: ModelInfo | None) -> pa.Schema:
        """Give one column of encoded bytes."""
        return pa.schema([pa.field("jpeg", pa.binary())])

    def compute(self, decoded: Decoded) -> tuple[bytes]:
        """Encode the image with its shorter side at `size`; a smaller one keeps its size."""
        from wslabel.features.resize import exact, shortest  # noqa: PLC0415 - loads torch

        sides = decoded.pixels_HW3.shape[:2]
        short, long = min(*sides, self.size), max(sides)
        if long * short // min(sides) > LONGEST:
            height, width = (max(1, side * LONGEST // long) for side in sides)
            pixels_HW3 = exact(decoded, (height, width), "bicubic")
        else:
            pixels_HW3 = shortest(decoded, short, "bicubic")
        sink = io.BytesIO()
        Image.fromarray(pixels_HW3).save(sink, "JPEG", quality=self.quality)
        return (sink.getvalue(),)
