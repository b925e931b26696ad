"""Bytes to an upright RGB image, or the named reason why there is none."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageChops, ImageOps, UnidentifiedImageError

from wslabel.errors import WslabelError
from wslabel.failpoints import reach

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "JPEG2000", "AVIF", "PPM")
"""What photos are stored in, by Pillow's names; all else that it reads is no image for us.

JPEG stands for MPO too, whose first picture is one; PPM for its kin, gray (PGM) and of floats
(PFM). Not here: what starts a program of others (EPS runs Ghostscript), what has no mark of its own
and so takes any bytes (TGA), and icons, documents, textures and grids of measurements, whose
decoders few others try.
"""

LARGEST_EXIF = 2**24
"""Most bytes of an EXIF block; in JPEG it cannot have more than 64 KiB."""

GRAY_MODES = frozenset({"1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "F"})


class Undecodable(WslabelError):
    """Bytes that are no image for us; `kind` is one of schema.ERROR_KINDS."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(kind, detail)  # both, so that it travels between processes
        self.kind = kind

    def __str__(self) -> str:
        return ": ".join(self.args)


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """An image at full size, upright.

    Attributes:
        pixels_HW3: uint8 [height, width, 3], red, green, blue.
        is_gray: Whether it was stored without colors.
        exif: Its EXIF block as it was stored; empty where there is none.
        resized: What was made of it, so that features of one size share the work.
    """

    pixels_HW3: np.ndarray
    is_gray: bool
    exif: bytes = b""
    resized: dict[tuple[int, int, str], np.ndarray] = field(default_factory=dict)


def decode(data: bytes, max_pixels: int, formats: tuple[str, ...] = FORMATS) -> Decoded:
    """Decode the first frame of an image in this process, upright as its EXIF orientation says.

    Images of strangers are decoded by a `Decoder`, which has a process of its own for it.

    Args:
        data: The image.
        max_pixels: Most pixels that it may have.
        formats: What it may be stored in.

    Raises:
        Undecodable: `not_an_image` or `too_large`.
    """
    with upright(data, max_pixels, formats) as (image, is_gray, exif):
        return Decoded(pixels_HW3=np.asarray(image), is_gray=is_gray, exif=exif)


@contextmanager
def upright(
    data: bytes, max_pixels: int, formats: tuple[str, ...] = FORMATS
) -> Iterator[tuple[Image.Image, bool, bytes]]:
    """Open the first frame of an image: upright RGB, whether it is gray, its EXIF block.

    Raises:
        Undecodable: `not_an_image` or `too_large`, also where its pixels are read inside.
    """
    with warnings.catch_warnings():
        # Pillow warns about odd metadata and large sizes; the size is judged right here.
        warnings.simplefilter("ignore")
        reach("decode", data)
        try:
            with Image.open(io.BytesIO(data), formats=formats) as image:
                if image.width * image.height > max_pixels:
                    raise Undecodable("too_large", f"{image.width} x {image.height} pixels")
                is_gray = image.mode in GRAY_MODES
                exif = image.info.get("exif", b"")  # turning the image upright rewrites it
                if len(exif) > LARGEST_EXIF:
                    raise Undecodable("too_large", f"{len(exif):,} bytes of EXIF")
                # In place, since otherwise an image that is upright already is copied.
                ImageOps.exif_transpose(image, in_place=True)
                yield _rgb(image), is_gray, exif
        except Undecodable:
            raise
        except UnidentifiedImageError:
            raise Undecodable("not_an_image", f"none of {', '.join(formats)}") from None
        except (Image.DecompressionBombError, MemoryError) as error:
            raise Undecodable("too_large", f"{type(error).__name__}: {error}") from None
        except Exception as error:  # noqa: BLE001 - told as an error row of that image, and counted
            # Each of Pillow's plugins lets something else through for damaged files: AVIF's a
            # RuntimeError. Decoders in C that find no memory leave it to a text.
            kind = "too_large" if "out of memory" in str(error) else "not_an_image"
            raise Undecodable(kind, f"{type(error).__name__}: {error}") from None


def crop(decoded: Decoded, box: tuple[float, float, float, float]) -> Decoded:
    """Cut out left, top, right, bottom, given as fractions; at least one pixel is left."""
    height, width = decoded.pixels_HW3.shape[:2]
    left, top = min(int(box[0] * width), width - 1), min(int(box[1] * height), height - 1)
    right, bottom = max(round(box[2] * width), left + 1), max(round(box[3] * height), top + 1)
    return Decoded(pixels_HW3=decoded.pixels_HW3[top:bottom, left:right], is_gray=decoded.is_gray)


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        # Pillow would clip 16 bits at 255; keep their upper half, as OpenCV does.
        image = Image.fromarray((np.asarray(image.convert("I")) >> 8).astype(np.uint8))
    if image.mode == "CMYK" and image.format == "JPEG" and "adobe" not in image.info:
        # Only Photoshop stores inverted values, and says so; Pillow takes all for its.
        image = ImageChops.invert(image)
    return image if image.mode == "RGB" else image.convert("RGB")
