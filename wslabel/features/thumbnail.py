"""Thumbnail: a small JPEG, so that training and people never fetch the original again."""

import io

from PIL import Image

from wslabel.features.decode import Decoded
from wslabel.features.resize import shortest
from wslabel.settings import Thumbnail


def compute(decoded: Decoded, settings: Thumbnail) -> tuple[bytes]:
    """Encode the image with its shorter side at `size`; a smaller one keeps its size."""
    short = min(*decoded.pixels_HW3.shape[:2], settings.size)
    sink = io.BytesIO()
    Image.fromarray(shortest(decoded, short, "bicubic")).save(
        sink, "JPEG", quality=settings.quality
    )
    return (sink.getvalue(),)
