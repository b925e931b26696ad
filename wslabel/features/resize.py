"""Resizing on the CPU: torch's antialiased uint8 kernels, nine times as fast as Pillow's.

Within one level of 255 of Pillow's `resize` with the same filter, which the preprocessing of
torchvision, timm and open_clip is written for.
"""

import io

import numpy as np
import torch
from PIL import Image

from wslabel import schema
from wslabel.features.decode import Decoded
from wslabel.settings import Preprocess, Thumbnail

THUMBNAIL_COLUMNS = schema.THUMBNAIL
VERSION = 1


class Resizer:
    """Resizes one image to several sizes, each only once."""

    def __init__(self, decoded: Decoded) -> None:
        self._pixels_HW3 = decoded.pixels_HW3
        self._done: dict[tuple[int, int, str], np.ndarray] = {}

    @property
    def shortest_side(self) -> int:
        """Pixels of the shorter side of the original."""
        return min(self._pixels_HW3.shape[:2])

    def shortest(self, size: int, interpolation: str) -> np.ndarray:
        """Bring the shorter side to `size` pixels; the longer side is rounded down."""
        height, width = self._pixels_HW3.shape[:2]
        short = min(height, width)
        target = (max(1, height * size // short), max(1, width * size // short))
        return self.exact(target, interpolation)

    def exact(self, target: tuple[int, int], interpolation: str) -> np.ndarray:
        """Resize to (height, width), whatever the shape was."""
        key = (*target, interpolation)
        if key not in self._done:
            self._done[key] = _resize(self._pixels_HW3, target, interpolation)
        return self._done[key]


def _resize(pixels_HW3: np.ndarray, target: tuple[int, int], interpolation: str) -> np.ndarray:
    if pixels_HW3.shape[:2] == target:
        return pixels_HW3
    # A copy where Pillow's buffer is read-only: torch takes writable arrays only.
    source = torch.from_numpy(pixels_HW3 if pixels_HW3.flags.writeable else pixels_HW3.copy())
    planes = source.permute(2, 0, 1)[None]
    resized = torch.nn.functional.interpolate(planes, target, mode=interpolation, antialias=True)
    return resized[0].permute(1, 2, 0).numpy()


def prepare(resizer: Resizer, how: Preprocess) -> np.ndarray:
    """Make the uint8 input of a network: resize, then crop the center, padding with black."""
    size = (how.resize, how.resize)
    squash = how.mode == "squash"
    pixels = (
        resizer.exact(size, how.interpolation)
        if squash
        else resizer.shortest(how.resize, how.interpolation)
    )
    return center_crop(pixels, how.crop)


def center_crop(pixels_HW3: np.ndarray, size: int) -> np.ndarray:
    """Cut the central square, as torchvision's CenterCrop does."""
    height, width = pixels_HW3.shape[:2]
    if height < size or width < size:
        pad_h, pad_w = max(0, size - height), max(0, size - width)
        pads = ((pad_h // 2, -(-pad_h // 2)), (pad_w // 2, -(-pad_w // 2)), (0, 0))
        return center_crop(np.pad(pixels_HW3, pads), size)
    top, left = round((height - size) / 2), round((width - size) / 2)
    return pixels_HW3[top : top + size, left : left + size]


def thumbnail(resizer: Resizer, settings: Thumbnail) -> tuple[bytes]:
    """Encode a small JPEG; an image that is smaller already keeps its size."""
    short = min(resizer.shortest_side, settings.size)
    sink = io.BytesIO()
    image = Image.fromarray(resizer.shortest(short, "bicubic"))
    image.save(sink, "JPEG", quality=settings.quality)
    return (sink.getvalue(),)
