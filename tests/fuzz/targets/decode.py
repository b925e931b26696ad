"""The bytes of an image: pixels, or a named reason why there are none."""

import random
from collections.abc import Iterator

import numpy as np
from PIL import Image

from tests.hostile import damage, images
from wslabel.features.color import ColorConfig
from wslabel.features.decode import FORMATS, Undecodable, crop, decode
from wslabel.schema import ERROR_KINDS

READS = ("PIL", "wslabel")
WORDS = (b"RIFF", b"WEBP", b"VP8 ", b"VP8L", b"VP8X", b"ftypavif", b"IHDR", b"IDAT", b"fcTL",
         b"acTL", b"Exif\0\0", b"Adobe", b"JFIF", b"II*\0", b"MM\0*", b"GIF89a", b"NETSCAPE2.0",
         b"ICC_PROFILE", b"\xff\xd8\xff", b"\xff\xc0", b"\xff\xc2", b"\xff\xda")  # fmt: skip

MAX_PIXELS = 2**18
LARGEST_SEED = 16_000
COLOR = ColorConfig(kind="color")
Image.init()  # imports what reads each format, while imports are watched


def one_input(data: bytes) -> None:
    try:
        decoded = decode(data, MAX_PIXELS)
    except Undecodable as error:
        see_that_it_is_an_error_row(error)
        return
    pixels_HW3 = decoded.pixels_HW3
    assert pixels_HW3.dtype == np.uint8
    assert pixels_HW3.ndim == 3
    assert pixels_HW3.shape[2] == 3
    assert 0 < pixels_HW3.size <= 3 * MAX_PIXELS
    again = decode(data, MAX_PIXELS)
    assert np.array_equal(again.pixels_HW3, pixels_HW3), "the same bytes, other pixels"
    COLOR.compute(decoded)
    crop(decoded, (0.9, 0.9, 1.0, 1.0))


def see_that_it_is_an_error_row(error: Undecodable) -> None:
    assert error.kind in ERROR_KINDS
    assert "MemoryError" not in str(error), "so few pixels fit into the memory"


def seeds() -> Iterator[bytes]:
    for kind in FORMATS:
        yield from damage.files(kind)
    yield from (case.data for case in images.cases() if len(case.data) <= LARGEST_SEED)


def mutated(data: bytes, rng: random.Random) -> bytes:
    return damage.damaged(data, rng)
