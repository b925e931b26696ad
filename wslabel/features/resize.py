"""Resizing on the CPU: torch's antialiased uint8 kernels, nine times as fast as Pillow's.

Within one level of 255 of Pillow's `resize` with the same filter, which the preprocessing of
torchvision, timm and open_clip is written for. With bicubic a single pixel may differ by two, or by
a few levels beside black or white, where it overshoots and is cut off.
"""

import numpy as np
import torch

from wslabel.config.preprocess import Preprocess
from wslabel.features.decode import Decoded

LONGEST = 1000
"""Times the shorter side that an image may be long before its ends are cut off for networks."""


def shortest(decoded: Decoded, size: int, interpolation: str) -> np.ndarray:
    """Bring the shorter side to `size` pixels; the longer side is rounded down."""
    height, width = decoded.pixels_HW3.shape[:2]
    short = min(height, width)
    return exact(decoded, (height * size // short, width * size // short), interpolation)


def exact(decoded: Decoded, target: tuple[int, int], interpolation: str) -> np.ndarray:
    """Resize to (height, width), whatever the shape was; once per image and target."""
    key = (*target, interpolation)
    if key not in decoded.resized:
        decoded.resized[key] = _resize(decoded.pixels_HW3, target, interpolation)
    return decoded.resized[key]


def _resize(pixels_HW3: np.ndarray, target: tuple[int, int], interpolation: str) -> np.ndarray:
    if pixels_HW3.shape[:2] == target:
        return pixels_HW3
    # torch takes writable arrays only, and a buffer of Pillow's is not.
    writable_HW3 = pixels_HW3 if pixels_HW3.flags.writeable else pixels_HW3.copy()
    planes = torch.from_numpy(writable_HW3).permute(2, 0, 1)[None]
    resized = torch.nn.functional.interpolate(planes, target, mode=interpolation, antialias=True)
    return np.asarray(resized[0].permute(1, 2, 0).numpy())


def prepare(decoded: Decoded, how: Preprocess) -> np.ndarray:
    """Make the uint8 input of a network: resize, then crop the center, padding with black."""
    if how.mode == "squash":
        pixels = exact(decoded, (how.resize, how.resize), how.interpolation)
    else:
        pixels = shortest(_middle(decoded), how.resize, how.interpolation)
    return center_crop(pixels, how.crop)


def _middle(decoded: Decoded) -> Decoded:
    """Cut the ends off a line of pixels: enlarged whole, it would not fit any memory."""
    height, width = decoded.pixels_HW3.shape[:2]
    most = LONGEST * min(height, width)
    if max(height, width) <= most:
        return decoded
    top, left = max(0, height - most) // 2, max(0, width - most) // 2
    pixels_HW3 = decoded.pixels_HW3[top : top + most, left : left + most]
    return Decoded(pixels_HW3=pixels_HW3, is_gray=decoded.is_gray)


def center_crop(pixels_HW3: np.ndarray, size: int) -> np.ndarray:
    """Cut the central square, as torchvision's CenterCrop does."""
    height, width = pixels_HW3.shape[:2]
    if height < size or width < size:
        pad_h, pad_w = max(0, size - height), max(0, size - width)
        pads = ((pad_h // 2, -(-pad_h // 2)), (pad_w // 2, -(-pad_w // 2)), (0, 0))
        return center_crop(np.pad(pixels_HW3, pads), size)
    top, left = round((height - size) / 2), round((width - size) / 2)
    return pixels_HW3[top : top + size, left : left + size]
