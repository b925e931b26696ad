"""What a decoder and its process send each other: frames of a fixed size, all else in memory.

The shared memory holds the sizes of some images, the images, and then what came of each: pixels and
EXIF block, or a text. Whoever reads an answer believes none of its numbers.
"""

import mmap
import struct
from collections.abc import Container, Sequence

import numpy as np

from wslabel.features.decode import LARGEST_EXIF, Decoded, Undecodable

REQUEST = struct.Struct("<Qd")
"""Number of images, and seconds after which the process ends, should it be alone."""

SIZE = struct.Struct("<Q")
"""Bytes of one image."""

ANSWER = struct.Struct("<IIIIQ")
"""What came of an image, height, width, whether it is gray, bytes that stand behind its pixels."""

READY, IMAGE, NOT_AN_IMAGE, TOO_LARGE, LATER = range(5)
REFUSALS = {"not_an_image": NOT_AN_IMAGE, "too_large": TOO_LARGE}
KINDS = {code: kind for kind, code in REFUSALS.items()}

MOST_TOLD = 1000
"""Bytes of a text, of why an image is refused."""

Memory = mmap.mmap | bytes


def ask(memory: mmap.mmap, images: Sequence[bytes], limit_s: float) -> tuple[bytes, int]:
    """Lay images down; give the request for them, and where the answers begin."""
    at = SIZE.size * len(images)
    memory[:at] = b"".join(SIZE.pack(len(data)) for data in images)
    for data in images:
        memory[at : at + len(data)] = data
        at += len(data)
    return REQUEST.pack(len(images), limit_s), at


def asked(memory: mmap.mmap, num_images: int) -> tuple[list[bytes], int]:
    """Take the images of a request, and tell where the answers begin."""
    at = SIZE.size * num_images
    images = []
    for (size,) in SIZE.iter_unpack(memory[:at]):
        images.append(memory[at : at + size])
        at += size
    return images, at


def tell(memory: mmap.mmap, at: int, what: int, text: str) -> bytes:
    """Leave a text in the shared memory and give the frame that says so."""
    data = text.encode(errors="replace")[:MOST_TOLD]
    memory[at : at + len(data)] = data
    return ANSWER.pack(what, 0, 0, 0, len(data))


def unpack_all(
    answers: bytes, memory: Memory, at: int, max_pixels: int
) -> list[Decoded | Undecodable]:
    """Read answers that lie one behind the other, up to the first image that is to be sent again.

    Raises:
        ValueError: One of them cannot be an answer, or there is none.
    """
    made: list[Decoded | Undecodable] = []
    for start in range(0, len(answers), ANSWER.size):
        answer = answers[start : start + ANSWER.size]
        one = unpack(answer, memory, at, max_pixels)
        if one is None:
            break
        made.append(one)
        at += length(answer)
    if not made:
        raise ValueError("no image was done")
    return made


def unpack(answer: bytes, memory: Memory, at: int, max_pixels: int) -> Decoded | Undecodable | None:
    """Read an answer whose every number may be a lie; None where the image is to be sent again.

    Args:
        answer: The frame.
        memory: The shared memory; what is taken from it is copied, since it may change at any time.
        at: Where its pixels, or its text, begin.
        max_pixels: Pixels of the largest image.

    Raises:
        ValueError: It cannot be an answer.
    """
    what, height, width, is_gray, extra = ANSWER.unpack(answer)
    if what == LATER:
        return None
    if what in KINDS:
        return Undecodable(KINDS[what], text_of(answer, KINDS, memory, at))
    size = height * width * 3
    is_image = what == IMAGE and is_gray in (0, 1) and 0 < height * width <= max_pixels
    if not is_image or extra > LARGEST_EXIF or at + size + extra > len(memory):
        raise ValueError(f"an answer that is none: {what} {height} {width} {is_gray} {extra}")
    pixels_HW3 = np.frombuffer(memory, np.uint8, size, at).reshape(height, width, 3).copy()
    exif = bytes(memory[at + size : at + size + extra])
    return Decoded(pixels_HW3=pixels_HW3, is_gray=bool(is_gray), exif=exif)


def length(answer: bytes) -> int:
    """Tell how much memory an answer says it takes."""
    _, height, width, _, extra = ANSWER.unpack(answer)
    return int(height * width * 3 + extra)


def text_of(answer: bytes, kinds: Container[int], memory: Memory, at: int) -> str:
    """Read an answer that is a text, without anything that a terminal obeys.

    Raises:
        ValueError: It cannot be one.
    """
    what, *numbers, size = ANSWER.unpack(answer)
    if what not in kinds or any(numbers) or size > min(MOST_TOLD, len(memory) - at):
        raise ValueError(f"an answer that is none: {what} {numbers} {size}")
    text = bytes(memory[at : at + size]).decode(errors="replace")
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
