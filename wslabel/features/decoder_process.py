"""The process that decodes images of strangers: locked down, with nothing but the image in reach.

It gets the bytes of an image in memory that it shares with its parent, and leaves the pixels there.
What it sends are frames of one fixed size. Its parent trusts none of it.
"""

import mmap
import os
import sys

import numpy as np
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from wslabel.features.decode import Undecodable, upright
from wslabel.features.frames import ANSWER, IMAGE, READY, REFUSALS, REQUEST, TOO_LARGE, told
from wslabel.features.lockdown import lock_down
from wslabel.features.time_limit import time_limit

PLUGINS = (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)
"""All that Pillow may need for `decode.FORMATS`: once locked down, nothing can be imported."""

STRIP_BYTES = 2**18
"""Pixels copied at a time: they stay in the cache."""

SPARE_BYTES, BYTES_PER_PIXEL = 2**30, 32
"""Memory that decoding may take: JPEG 2000 and AVIF take most, up to 30 bytes per pixel."""


def main() -> None:
    """Tell the parent that all is ready, then decode what it sends until it is gone."""
    channel, shared, size, max_pixels, is_locked = map(int, sys.argv[1:])
    # Who has one CPU needs one thread, and none can be begun.
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    memory = mmap.mmap(shared, size)
    os.closerange(0, channel)
    os.closerange(channel + 1, channel + 2**16)
    weakness = "engine.sandbox is off"
    if is_locked:
        weakness = lock_down(SPARE_BYTES + BYTES_PER_PIXEL * max_pixels)
    os.write(channel, told(memory, READY, weakness))
    while request := os.read(channel, REQUEST.size):
        num_bytes, limit_s = REQUEST.unpack(request)
        with time_limit(limit_s):
            os.write(channel, answer(memory, num_bytes, max_pixels))
    os._exit(0)


def answer(memory: mmap.mmap, num_bytes: int, max_pixels: int) -> bytes:
    """Decode the image at the start of the shared memory and leave its pixels there."""
    try:
        with upright(memory[:num_bytes], max_pixels) as (image, is_gray, exif):
            end = image.width * image.height * 3
            if end + len(exif) > len(memory):
                raise Undecodable("too_large", f"{len(exif)} bytes of EXIF")
            _copy(image, np.frombuffer(memory, np.uint8, end))
            memory[end : end + len(exif)] = exif
            return ANSWER.pack(IMAGE, image.height, image.width, is_gray, len(exif))
    except Undecodable as error:
        return told(memory, REFUSALS[error.kind], error.args[1])
    except MemoryError:
        return told(memory, TOO_LARGE, "MemoryError")


def _copy(image: Image.Image, flat: np.ndarray) -> None:
    width, height = image.size
    pixels_HW3 = flat.reshape(height, width, 3)
    rows = max(1, STRIP_BYTES // (width * 3))
    for top in range(0, height, rows):
        part = image.crop((0, top, width, min(top + rows, height)))
        pixels_HW3[top : top + rows] = np.asarray(part)


if __name__ == "__main__":
    main()
