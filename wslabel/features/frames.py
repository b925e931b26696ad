"""What a decoder and its process send each other: frames of a fixed size, all else in memory.

Whoever reads an answer believes none of its numbers.
"""

import mmap
import struct
from collections.abc import Container

import numpy as np

from wslabel.features.decode import Decoded, Undecodable

REQUEST = struct.Struct("<Qd")
"""Number of bytes of the image, and seconds after which the process ends, should it be alone."""

ANSWER = struct.Struct("<IIIIQ")
"""What it is, height, width, whether it is gray, and the bytes that stand behind the pixels."""

READY, IMAGE, NOT_AN_IMAGE, TOO_LARGE = range(4)
REFUSALS = {"not_an_image": NOT_AN_IMAGE, "too_large": TOO_LARGE}
KINDS = {code: kind for kind, code in REFUSALS.items()}

MOST_TOLD = 1000
"""Bytes of a text, of why an image is refused."""


def told(memory: mmap.mmap, what: int, text: str) -> bytes:
    """Leave a text in the shared memory and give the frame that says so."""
    data = text.encode(errors="replace")[:MOST_TOLD]
    memory[: len(data)] = data
    return ANSWER.pack(what, 0, 0, 0, len(data))


def unpack(answer: bytes, memory: mmap.mmap | bytes, max_pixels: int) -> Decoded:
    """Read an answer whose every number may be a lie.

    Args:
        answer: The frame.
        memory: The shared memory; what is taken from it is copied, since it may change at any time.
        max_pixels: Pixels of the largest image.

    Raises:
        Undecodable: It says so of the image.
        ValueError: It cannot be an answer.
    """
    what, height, width, is_gray, extra = ANSWER.unpack(answer)
    if what in KINDS:
        raise Undecodable(KINDS[what], text_of(answer, KINDS, memory))
    end = height * width * 3
    is_image = what == IMAGE and is_gray in (0, 1) and 0 < height * width <= max_pixels
    if not is_image or end + extra > len(memory):
        raise ValueError(f"an answer that is none: {what} {height} {width} {is_gray} {extra}")
    pixels_HW3 = np.frombuffer(memory, np.uint8, end).reshape(height, width, 3).copy()
    exif = bytes(memory[end : end + extra])
    return Decoded(pixels_HW3=pixels_HW3, is_gray=bool(is_gray), exif=exif)


def text_of(answer: bytes, kinds: Container[int], memory: mmap.mmap | bytes) -> str:
    """Read an answer that is a text, without anything that a terminal obeys.

    Raises:
        ValueError: It cannot be one.
    """
    what, *numbers, size = ANSWER.unpack(answer)
    if what not in kinds or any(numbers) or size > min(MOST_TOLD, len(memory)):
        raise ValueError(f"an answer that is none: {what} {numbers} {size}")
    text = bytes(memory[:size]).decode(errors="replace")
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
