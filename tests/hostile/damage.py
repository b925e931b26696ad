"""Every format that photos come in, damaged by chance in the ways that files are."""

import random
import warnings
import zlib
from contextlib import suppress
from typing import Any

import numpy as np
from PIL import Image

from tests.hostile.images import saved

SIZE = (24, 16)
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "AVIF": [{}, {"subsampling": "4:4:4", "quality": 100}],
    "GIF": [{}, {"interlace": 1}, {"save_all": True, "append_images": [Image.new("P", SIZE, 9)]}],
    "JPEG": [{}, {"progressive": True}, {"exif": Image.Exif()}, {"restart_marker_blocks": 1}],
    "JPEG2000": [{}, {"irreversible": True, "quality_layers": [5]}, {"no_jp2": True}],
    "PNG": [{}, {"exif": Image.Exif()}, {"icc_profile": b"not a profile"}],
    "TIFF": [
        {"compression": kind}
        for kind in (None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "group4")
    ],
    "WEBP": [{}, {"lossless": True}],
}
"""Options of saving, where there are several ways."""

MODES = ("RGB", "RGBA", "P", "L", "1")
NUMBERS = (0, 1, 0x7F, 0xFF, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF)


def files(kind: str) -> list[bytes]:
    """Make good files of a format: in each mode and way that it has."""
    found = []
    noise = np.random.default_rng(0).integers(0, 256, (SIZE[1], SIZE[0], 3), np.uint8)
    image = Image.fromarray(noise)
    for mode in MODES:
        for options in VARIANTS.get(kind, [{}]):
            with warnings.catch_warnings(), suppress(OSError, ValueError, KeyError):
                # Some formats are on their way out of Pillow; some lack this mode or a program.
                warnings.simplefilter("ignore")
                found.append(saved(image.convert(mode), kind, **options))
    return found


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Damage a file once or a few times."""
    spoiled = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        rng.choice((_flip, _flip, _number, _number, _cut, _splice, _drop, _insert))(spoiled, rng)
    # Else the checksums of a PNG would keep most damage from its decoder.
    return _with_checksums(spoiled) if rng.random() < 0.5 else bytes(spoiled)


def _with_checksums(data: bytearray) -> bytes:
    """Put right the checksums of the chunks of a PNG, as far as there are any."""
    start = len(b"\x89PNG\r\n\x1a\n")
    while data[:4] == b"\x89PNG" and start + 12 <= len(data):
        end = start + 8 + int.from_bytes(data[start : start + 4], "big")
        data[end : end + 4] = zlib.crc32(data[start + 4 : end]).to_bytes(4, "big")
        start = end + 4
    return bytes(data)


def _place(data: bytearray, rng: random.Random) -> int:
    """Choose a place, mostly near the start, where headers are."""
    reach = len(data) if rng.random() < 0.4 else min(len(data), 100)
    return rng.randrange(max(1, reach))


def _flip(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.randint(1, 8)):
        if data:
            data[_place(data, rng) % len(data)] ^= 1 << rng.randrange(8)


def _number(data: bytearray, rng: random.Random) -> None:
    """Write a length or an offset that is absurd."""
    place, size = _place(data, rng), rng.choice((1, 2, 4))
    number = rng.choice(NUMBERS) & (256**size - 1)
    data[place : place + size] = number.to_bytes(size, rng.choice(("big", "little")))


def _cut(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(len(data) + 1) :]


def _splice(data: bytearray, rng: random.Random) -> None:
    """Copy a part of the file over another."""
    source, target, size = _place(data, rng), _place(data, rng), rng.randint(1, 64)
    data[target : target + size] = data[source : source + size]


def _drop(data: bytearray, rng: random.Random) -> None:
    place = _place(data, rng)
    del data[place : place + rng.randint(1, 16)]


def _insert(data: bytearray, rng: random.Random) -> None:
    place = _place(data, rng)
    data[place:place] = rng.randbytes(rng.randint(1, 16))
