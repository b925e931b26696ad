"""The process that decodes images of strangers: locked down, with nothing but the image in reach.

It gets the bytes of images in memory that it shares with its parent, and leaves their pixels there.
Its parent trusts none of it.
"""

import mmap
import os
import sys
from collections.abc import Iterator

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
from wslabel.features.frames import (
    ANSWER,
    IMAGE,
    LATER,
    MOST_TOLD,
    READY,
    REFUSALS,
    REQUEST,
    TOO_LARGE,
    asked,
    length,
    tell,
)
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

BLOCK_BYTES = 2**18
"""Pixels that are copied at a time: they stay in the cache."""

PORTION_BYTES = 2**23
"""Once so many bytes of pixels are laid down, what was asked for beside them comes later."""

LATER_FRAME = ANSWER.pack(LATER, 0, 0, 0, 0)

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
    os.write(channel, tell(memory, 0, READY, weakness))
    while request := os.read(channel, REQUEST.size):
        num_images, limit_s = REQUEST.unpack(request)
        with time_limit(limit_s):
            os.write(channel, b"".join(answers(memory, num_images, max_pixels)))
    os._exit(0)


def answers(memory: mmap.mmap, num_images: int, max_pixels: int) -> Iterator[bytes]:
    """Decode the images that lie in the shared memory, and leave what comes of them behind them."""
    images, start = asked(memory, num_images)
    at, is_full = start, False
    for number, data in enumerate(images):
        room = len(memory) if number == 0 else start + PORTION_BYTES
        frame = LATER_FRAME if is_full else _answer(data, memory, at, room, max_pixels)
        if frame == LATER_FRAME and number == 0:
            frame = tell(memory, at, TOO_LARGE, "its EXIF block")
        is_full = frame == LATER_FRAME
        at += length(frame)
        yield frame


def _answer(data: bytes, memory: mmap.mmap, at: int, room: int, max_pixels: int) -> bytes:
    try:
        with upright(data, max_pixels) as (image, is_gray, exif):
            end = at + image.width * image.height * 3
            if end + len(exif) + MOST_TOLD > room:
                return LATER_FRAME
            _lay_down(image, memory, at)
            memory[end : end + len(exif)] = exif
            return ANSWER.pack(IMAGE, image.height, image.width, is_gray, len(exif))
    except Undecodable as error:
        return tell(memory, at, REFUSALS[error.kind], error.args[1])
    except MemoryError:
        return tell(memory, at, TOO_LARGE, "MemoryError")


def _lay_down(image: Image.Image, memory: mmap.mmap, at: int) -> None:
    """Copy pixels as `Image.tobytes` does, which would hold all of them twice."""
    image.load()
    encoder = Image._getencoder("RGB", "raw", "RGB")
    encoder.setimage(image.im, (0, 0, *image.size))
    is_over = 0
    while not is_over:
        _, is_over, block = encoder.encode(max(BLOCK_BYTES, 4 * image.width))
        memory[at : at + len(block)] = block
        at += len(block)


if __name__ == "__main__":
    main()
