"""Odd and broken images, each made in memory: name, bytes, and what must come of them."""

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageChops, ImageCms

SIZE = (48, 32)
RED, BLUE = (200, 40, 40), (40, 60, 200)


@dataclass(frozen=True)
class Case:
    """One file, and either the error it must end in, or the size and left and right colors."""

    name: str
    data: bytes
    error: str | None = None
    size: tuple[int, int] | None = SIZE
    left: tuple[int, int, int] | None = RED
    right: tuple[int, int, int] | None = BLUE


def halves(mode: str = "RGB", size: tuple[int, int] = SIZE) -> Image.Image:
    """Draw a red left half and a blue right half."""
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    pixels[:, : size[0] // 2], pixels[:, size[0] // 2 :] = RED, BLUE
    return Image.fromarray(pixels).convert(mode)


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    sink = io.BytesIO()
    image.save(sink, kind, **options)
    return sink.getvalue()


def cases() -> Iterator[Case]:
    """Give all of them."""
    yield from _jpegs()
    yield from _pngs()
    yield from _others()
    yield from _turned()
    yield from _damaged()
    yield from _no_images()


GRAY_HALVES: dict[str, Any] = {"left": (93, 93, 93), "right": (70, 70, 70)}
UNSURE: dict[str, Any] = {"left": None, "right": None}
FINE: dict[str, Any] = {"quality": 95}


def later() -> dict[str, Any]:
    """Frames or pages after the first one, which is what counts; saving leaves traces in them."""
    frames = [Image.new("RGB", SIZE, (71, 71, 71)) for _ in range(2)]
    return {"save_all": True, "append_images": frames}


def _jpegs() -> Iterator[Case]:
    image = halves()
    fine = saved(image, "JPEG", **FINE)
    yield Case("jpeg.jpg", fine)
    yield Case("progressive.jpg", saved(image, "JPEG", progressive=True, **FINE))
    yield Case("full_chroma.jpg", saved(image, "JPEG", subsampling=0, **FINE))
    yield Case("optimized.jpg", saved(image, "JPEG", optimize=True, **FINE))
    yield Case("restart_markers.jpg", saved(image, "JPEG", restart_marker_blocks=1, **FINE))
    yield Case("many_comments.jpg", saved(image, "JPEG", comment=b"x" * 60_000, **FINE))
    yield Case("gray.jpg", saved(halves("L"), "JPEG"), **GRAY_HALVES)
    yield Case("adobe_inverted_cmyk.jpg", saved(halves("CMYK"), "JPEG", **FINE))
    yield Case("plain_cmyk.jpg", _plain_cmyk())
    yield Case("icc.jpg", saved(image, "JPEG", icc_profile=_profile(), **FINE))
    yield Case("broken_icc.jpg", saved(image, "JPEG", icc_profile=b"not a profile", **FINE))
    exif = b"Exif\0\0MM\0*" + b"\xff" * 40
    yield Case("broken_exif.jpg", saved(image, "JPEG", exif=exif, **FINE))
    yield Case("pictures_behind.jpg", saved(image, "MPO", **later()))
    yield Case("wrong_extension.png", fine)
    yield Case("Ärger und Größe 海.jpg", fine)
    yield Case("rubbish_after_the_end.jpg", fine + b"\0rubbish" * 500)


def _pngs() -> Iterator[Case]:
    image = halves()
    yield Case("png.png", saved(image, "PNG"))
    yield Case("no_extension", saved(image, "PNG"))
    yield Case("interlaced.png", _interlaced())
    yield Case("palette.png", saved(_palette(), "PNG"))
    yield Case("palette_transparent.png", saved(_palette(), "PNG", transparency=0))
    yield Case("rgba.png", saved(halves("RGBA"), "PNG"))
    yield Case("one_bit.png", saved(halves("1"), "PNG"), **UNSURE)
    deep = Image.fromarray(np.asarray(halves("L"), np.uint16) << 8)
    yield Case("16_bit.png", saved(deep, "PNG"), **GRAY_HALVES)
    yield Case("16_bit.tiff", saved(deep, "TIFF"), **GRAY_HALVES)
    yield Case("animated.png", saved(image, "PNG", **later()))
    for name, size in (
        ("one_pixel", (1, 1)),
        ("thin", (1, 20000)),
        ("flat", (20000, 1)),
        ("line", (1, 99_999)),
    ):
        red = Image.new("RGB", size, RED)
        yield Case(f"{name}.png", saved(red, "PNG"), size=size, right=RED)


def _others() -> Iterator[Case]:
    image = halves()
    floats = Image.fromarray(np.asarray(halves("L"), np.float32))
    yield Case("float.tiff", saved(floats, "TIFF"), **UNSURE)
    yield Case("pages.tiff", saved(image, "TIFF", **later()))
    yield Case("lzw.tiff", saved(image, "TIFF", compression="tiff_lzw"))
    yield Case("jpeg_inside.tiff", saved(image, "TIFF", compression="jpeg", **FINE))
    frames = {"save_all": True, "append_images": [halves("P")]}
    yield Case("animated.gif", saved(_palette(), "GIF", **frames))
    yield Case("animated.webp", saved(image, "WEBP", lossless=True, **later()))
    yield Case("lossy.webp", saved(image, "WEBP", **FINE))
    yield Case("lossless.webp", saved(image, "WEBP", lossless=True))
    yield Case("avif.avif", saved(image, "AVIF", **FINE))
    yield Case("jpeg2000.jp2", saved(image, "JPEG2000"))
    yield Case("bitmap.bmp", saved(image, "BMP"))
    yield Case("portable.ppm", saved(image, "PPM"))
    yield Case("gray.pgm", saved(halves("L"), "PPM"), **GRAY_HALVES)


def _turned() -> Iterator[Case]:
    """The same picture stored in all eight ways, and a ninth that there is not."""
    upright = halves()
    undo = {
        2: [Image.Transpose.FLIP_LEFT_RIGHT],
        3: [Image.Transpose.ROTATE_180],
        4: [Image.Transpose.FLIP_TOP_BOTTOM],
        5: [Image.Transpose.TRANSPOSE],
        6: [Image.Transpose.ROTATE_90],
        7: [Image.Transpose.TRANSVERSE],
        8: [Image.Transpose.ROTATE_270],
    }
    for orientation in range(1, 10):
        stored = upright
        for step in undo.get(orientation, []):
            stored = stored.transpose(step)
        exif = Image.Exif()
        exif[0x0112] = orientation
        yield Case(f"exif_{orientation}.jpg", saved(stored, "JPEG", quality=95, exif=exif))


def _damaged() -> Iterator[Case]:
    jpeg, png = saved(halves(size=(256, 256)), "JPEG"), saved(halves(size=(256, 256)), "PNG")
    for share in (0.02, 0.3, 0.6, 0.95):
        yield Case(f"cut_{share}.jpg", jpeg[: int(len(jpeg) * share)], "not_an_image")
        yield Case(f"cut_{share}.png", png[: int(len(png) * share)], "not_an_image")
    for kind in ("WEBP", "TIFF", "AVIF", "GIF", "BMP"):
        data = saved(halves("P" if kind == "GIF" else "RGB", (256, 256)), kind)
        yield Case(f"cut.{kind.lower()}", data[: len(data) // 2], "not_an_image")
    yield Case("huge_in_a_tiny_file.png", _declared(60_000, 60_000), "too_large")
    yield Case("bomb.png", _bomb(), "too_large")
    yield Case("no_pixels.png", _declared(0, 0), "not_an_image")
    yield Case("wrong_checksum.png", png.replace(b"IHDR", b"IHDX", 1), "not_an_image")
    yield Case("no_tables.jpg", jpeg.replace(b"\xff\xdb", b"\xff\xfe"), "not_an_image")


def _no_images() -> Iterator[Case]:
    yield Case("empty.jpg", b"", "not_an_image")
    yield Case("zeros.jpg", b"\0" * 1000, "not_an_image")
    yield Case("page.jpg", b"<!doctype html><title>404</title>not here", "not_an_image")
    yield Case(
        "error.jpg", b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code></Error>", "not_an_image"
    )
    yield Case("vector.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not_an_image")
    yield Case("document.pdf", b"%PDF-1.7\n%%EOF", "not_an_image")
    for kind in ("TGA", "ICO", "DDS", "SGI", "PCX", "EPS"):
        yield Case(f"no_photo.{kind.lower()}", saved(halves(), kind), "not_an_image")
    yield Case("archive.zip", b"PK\x05\x06" + b"\0" * 18, "not_an_image")
    yield Case(
        "script.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage", "not_an_image"
    )


def _plain_cmyk() -> bytes:
    """Values as they are and no Adobe segment; Photoshop's way is inverted and says so."""
    data = saved(ImageChops.invert(halves("CMYK")), "JPEG", **FINE)
    start = data.index(b"\xff\xee")
    length = struct.unpack(">H", data[start + 2 : start + 4])[0]
    assert data[start + 4 : start + 9] == b"Adobe"
    return data[:start] + data[start + 2 + length :]


def _profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _palette() -> Image.Image:
    image = Image.new("P", SIZE, 1)
    image.putpalette([0, 255, 0, *RED, *BLUE])
    image.paste(2, (SIZE[0] // 2, 0, *SIZE))
    return image


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png(width: int, height: int, rows: bytes, *, interlaced: bool = False) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, interlaced)
    parts = (_chunk(b"IHDR", head), _chunk(b"IDAT", zlib.compress(rows)), _chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _declared(width: int, height: int) -> bytes:
    return _png(width, height, b"\0" * 1000)


def _bomb() -> bytes:
    side = 15_000
    return _png(side, side, b"\0" * (side * 3 + 1) * 200)


def _interlaced() -> bytes:
    """Write the seven passes of Adam7 by hand; Pillow writes none."""
    pixels = np.asarray(halves())
    starts = (
        (0, 0, 8, 8),
        (0, 4, 8, 8),
        (4, 0, 8, 4),
        (0, 2, 4, 4),
        (2, 0, 4, 2),
        (0, 1, 2, 2),
        (1, 0, 2, 1),
    )
    rows = b"".join(
        b"\0" + row.tobytes() for y, x, dy, dx in starts for row in pixels[y::dy, x::dx]
    )
    return _png(*SIZE, rows, interlaced=True)
