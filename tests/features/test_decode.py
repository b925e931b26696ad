"""Any bytes become an upright RGB image or a named reason; nothing else ever comes out."""

import io
import pickle
import struct
import subprocess
import sys
import tracemalloc
import warnings
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from wslabel.features.decode import FORMATS, LARGEST_EXIF, Decoded, Undecodable, decode

PLENTY = 10_000_000
RED, BLUE = (220, 30, 40), (20, 40, 210)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    sink = io.BytesIO()
    image.save(sink, kind, **options)
    return sink.getvalue()


def noise(size: tuple[int, int] = (24, 16)) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    return Image.fromarray(pixels)


def refused(data: bytes, max_pixels: int = PLENTY) -> str:
    with pytest.raises(Undecodable) as caught:
        decode(data, max_pixels)
    return caught.value.kind


def png_header(width: int, height: int) -> bytes:
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    crc = struct.pack(">I", zlib.crc32(body))
    return (
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + crc + struct.pack(">I", 9) + b"IDAT"
    )


def test_a_lossless_image_keeps_every_pixel() -> None:
    decoded = decode(encoded(noise(), "PNG"), PLENTY)
    assert np.array_equal(decoded.pixels_HW3, np.asarray(noise()))
    assert decoded.pixels_HW3.dtype == np.uint8
    assert not decoded.is_gray


@pytest.mark.parametrize("mode", ["1", "L", "LA"])
def test_an_image_stored_without_colors_is_gray(mode: str) -> None:
    gray = Image.new("L", (5, 3), 255).convert(mode)
    decoded = decode(encoded(gray, "PNG"), PLENTY)
    assert decoded.is_gray
    assert decoded.pixels_HW3.shape == (3, 5, 3)
    assert (decoded.pixels_HW3 == 255).all()


def test_a_gray_jpeg_is_gray_and_a_colorless_color_jpeg_is_not() -> None:
    assert decode(encoded(Image.new("L", (9, 9), 90), "JPEG"), PLENTY).is_gray
    assert not decode(encoded(Image.new("RGB", (9, 9), (90, 90, 90)), "JPEG"), PLENTY).is_gray


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_gray_keeps_its_brightness(kind: str) -> None:
    levels = np.array([[0, 0x4000, 0x8000, 0xFFFF]], np.uint16)
    decoded = decode(encoded(Image.fromarray(levels), kind), PLENTY)
    assert decoded.is_gray
    assert np.abs(decoded.pixels_HW3[0, :, 0].astype(int) - [0, 64, 128, 255]).max() <= 1


def test_cmyk_becomes_its_rgb_color() -> None:
    red = Image.new("RGB", (16, 16), RED).convert("CMYK")
    decoded = decode(encoded(red, "JPEG", quality=98), PLENTY)
    assert np.abs(decoded.pixels_HW3.mean(axis=(0, 1)) - RED).max() < 8
    assert not decoded.is_gray


def test_a_palette_is_looked_up() -> None:
    image = Image.new("RGB", (4, 2), RED)
    image.putpixel((3, 1), BLUE)
    decoded = decode(encoded(image.convert("P", palette=Image.Palette.ADAPTIVE), "PNG"), PLENTY)
    assert decoded.pixels_HW3[0, 0].tolist() == list(RED)
    assert decoded.pixels_HW3[1, 3].tolist() == list(BLUE)
    assert not decoded.is_gray


def test_transparency_is_dropped() -> None:
    image = Image.new("RGBA", (4, 2), (*RED, 0))
    assert decode(encoded(image, "PNG"), PLENTY).pixels_HW3[0, 0].tolist() == list(RED)


def test_exif_orientation_turns_the_image_upright() -> None:
    lying = Image.new("RGB", (32, 16), BLUE)
    lying.paste(RED, (0, 0, 16, 16))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by 90 degrees: left becomes top
    upright = decode(encoded(lying, "JPEG", quality=95, exif=exif), PLENTY).pixels_HW3
    assert upright.shape == (32, 16, 3)
    assert upright[4, 8, 0] > upright[4, 8, 2]
    assert upright[28, 8, 2] > upright[28, 8, 0]


def test_an_exif_block_larger_than_any_is_refused() -> None:
    block = b"Exif\0\0II*\0\x08\0\0\0" + bytes(LARGEST_EXIF)
    decode(encoded(noise(), "PNG", exif=block[:LARGEST_EXIF]), PLENTY)
    with pytest.raises(Undecodable, match=r"too_large: 16,777,\d+ bytes of EXIF"):
        decode(encoded(noise(), "PNG", exif=block), PLENTY)


def test_the_exif_block_comes_along_as_it_was_stored() -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "a camera"
    decoded = decode(encoded(noise(), "JPEG", exif=exif), PLENTY)
    stored = Image.Exif()
    stored.load(decoded.exif)
    assert dict(stored) == {0x0112: 6, 0x010F: "a camera"}
    assert decode(encoded(noise(), "JPEG"), PLENTY).exif == b""


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_an_animation_gives_its_first_frame(kind: str) -> None:
    first, second = (Image.new("RGB", (16, 16), color) for color in (RED, BLUE))
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(first, kind, save_all=True, append_images=[second], **options)
    assert np.abs(decode(data, PLENTY).pixels_HW3[5, 5].astype(int) - RED).max() <= 2


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_truncated_file_is_not_an_image(kind: str) -> None:
    data = encoded(noise(), kind)
    assert refused(data[: len(data) // 2]) == "not_an_image"


@pytest.mark.parametrize(
    "data", [b"", b"\0" * 64, b"<html><body>404</body></html>", b"\xff\xd8\xff", b"GIF89a"]
)
def test_other_bytes_are_not_an_image(data: bytes) -> None:
    assert refused(data) == "not_an_image"


@pytest.mark.parametrize("kind", FORMATS)
def test_photos_are_read_in_every_format_that_they_come_in(kind: str) -> None:
    image = noise().quantize() if kind == "GIF" else noise()
    assert decode(encoded(image, kind), PLENTY).pixels_HW3.shape == (24, 16, 3)


def test_of_all_formats_of_pillow_none_else_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    Image.init()
    opened: list[str] = []
    for kind, (factory, accept) in Image.OPEN.items():

        def noted(*given: Any, kind: str = kind, factory: Any = factory) -> Any:
            opened.append(kind)
            return factory(*given)

        monkeypatch.setitem(Image.OPEN, kind, (noted, accept))
    for kind in sorted(set(Image.OPEN) & set(Image.SAVE)):
        with suppress(OSError, ValueError, KeyError, Undecodable), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            decode(encoded(noise(), kind), PLENTY)
    assert set(FORMATS) == set(opened)
    assert refused(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage") == "not_an_image"
    assert set(FORMATS) == set(opened)


def chunk(kind: bytes, body: bytes) -> bytes:
    crc = struct.pack(">I", zlib.crc32(kind + body))
    return struct.pack(">I", len(body)) + kind + body + crc


LARGE, VAST = (zlib.compress(bytes(size), 9) for size in (2**20, 2**26))


@pytest.mark.parametrize(
    "inside",
    [
        chunk(b"zTXt", b"a text\0\0" + VAST),
        chunk(b"iTXt", b"a text\0\1\0\0\0" + VAST),
        chunk(b"iCCP", b"a profile\0\0" + VAST),
        b"".join(chunk(b"zTXt", b"%d\0\0" % n + LARGE) for n in range(500)),
    ],
    ids=["text", "international text", "profile", "many texts"],
)
def test_what_is_vast_inside_a_small_image_is_refused(inside: bytes) -> None:
    small = encoded(noise(), "PNG")
    tracemalloc.start()
    try:
        assert refused(small[:33] + inside + small[33:]) == "not_an_image"
        assert tracemalloc.get_traced_memory()[1] < 2**28
    finally:
        tracemalloc.stop()


def test_of_many_pages_only_the_first_is_read() -> None:
    pages = [Image.new("RGB", (400, 400), RED) for _ in range(50)]
    data = encoded(noise(), "TIFF", save_all=True, append_images=pages)
    assert decode(data, 24 * 16).pixels_HW3.shape == (24, 16, 3)


def test_an_image_of_more_pixels_than_allowed_is_too_large() -> None:
    data = encoded(noise((24, 16)), "PNG")
    assert decode(data, 24 * 16).pixels_HW3.shape == (24, 16, 3)
    assert refused(data, 24 * 16 - 1) == "too_large"


def test_a_decompression_bomb_is_too_large_whatever_is_allowed() -> None:
    assert refused(png_header(60_000, 60_000)) == "too_large"
    assert refused(png_header(60_000, 60_000), 2**62) == "too_large"


DECODE_IN_LITTLE_MEMORY = """
import resource, sys
from pathlib import Path
from wslabel.features.decode import Undecodable, decode
small, large = (Path(path).read_bytes() for path in sys.argv[1:])
decode(small, 10**9)
resource.setrlimit(resource.RLIMIT_AS, (2**27 + resource.getpagesize() * int(
    Path("/proc/self/statm").read_text().split()[0]),) * 2)
try:
    decode(large, 10**9)
except Undecodable as error:
    print(error.kind)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere memory is limited otherwise")
def test_an_image_for_which_memory_is_too_small_is_too_large(tmp_path: Path) -> None:
    (tmp_path / "small").write_bytes(encoded(noise(), "PNG"))
    (tmp_path / "large").write_bytes(encoded(Image.new("RGB", (16_000, 10_000)), "PNG"))
    command = [
        sys.executable,
        "-c",
        DECODE_IN_LITTLE_MEMORY,
        tmp_path / "small",
        tmp_path / "large",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == "too_large\n", done.stderr


def test_the_reason_travels_between_processes() -> None:
    error = pickle.loads(pickle.dumps(Undecodable("too_large", "9 x 9 pixels")))
    assert error.kind == "too_large"
    assert str(error) == "too_large: 9 x 9 pixels"


GOOD: dict[str, bytes] = {
    "JPEG": encoded(noise(), "JPEG"),
    "progressive": encoded(noise(), "JPEG", progressive=True, exif=Image.Exif()),
    "PNG": encoded(noise(), "PNG"),
    "palette": encoded(noise().convert("P"), "PNG"),
    "GIF": encoded(noise(), "GIF"),
    "TIFF": encoded(noise(), "TIFF", compression="tiff_lzw"),
    "WEBP": encoded(noise(), "WEBP"),
    "BMP": encoded(noise(), "BMP"),
    "AVIF": encoded(noise(), "AVIF"),
    "JPEG2000": encoded(noise(), "JPEG2000"),
}


def outcome(data: bytes) -> Decoded | str:
    try:
        return decode(data, 1_000_000)
    except Undecodable as error:
        return error.kind


Damage = list[tuple[float, int]]


@pytest.mark.parametrize("kind", GOOD)
@settings(deadline=None, max_examples=60)
@given(
    damage=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=8),
    near_start=st.booleans(),
    keep=st.sampled_from([1.0, 1.0, 0.9, 0.4]),
)
@example(damage=[(0.0, 0)], near_start=True, keep=1.0)
def test_damage_gives_an_image_or_a_reason_and_nothing_else(
    kind: str, damage: Damage, near_start: bool, keep: float
) -> None:
    data = bytearray(GOOD[kind])
    reach = min(80, len(data)) if near_start else len(data)
    for place, value in damage:
        data[int(place * (reach - 1))] = value
    decoded = outcome(bytes(data[: int(len(data) * keep)]))
    if isinstance(decoded, Decoded):
        assert decoded.pixels_HW3.ndim == 3
        assert decoded.pixels_HW3.shape[2] == 3
        assert decoded.pixels_HW3.dtype == np.uint8
    else:
        assert decoded in ("not_an_image", "too_large")


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=200))
def test_random_bytes_are_not_an_image(data: bytes) -> None:
    assert outcome(data) == "not_an_image"
