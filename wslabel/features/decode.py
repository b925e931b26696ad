"""Bytes to an upright RGB image, or the named reason why there is none."""

import io
import warnings
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageChops, ImageOps

from wslabel.errors import WslabelError
from wslabel.failpoints import reach

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


def decode(data: bytes, max_pixels: int) -> Decoded:
    """Decode the first frame of an image, upright as its EXIF orientation says.

    Raises:
        Undecodable: `not_an_image` or `too_large`.
    """
    with warnings.catch_warnings():
        # Pillow warns about odd metadata and large sizes; the size is judged right here.
        warnings.simplefilter("ignore")
        reach("decode", data)
        try:
            with Image.open(io.BytesIO(data)) as image:
                if image.width * image.height > max_pixels:
                    raise Undecodable("too_large", f"{image.width} x {image.height} pixels")
                is_gray = image.mode in GRAY_MODES
                exif = image.info.get("exif", b"")  # turning the image upright rewrites it
                # In place, since otherwise an image that is upright already is copied.
                ImageOps.exif_transpose(image, in_place=True)
                return Decoded(pixels_HW3=_rgb(image), is_gray=is_gray, exif=exif)
        except Undecodable:
            raise
        except (Image.DecompressionBombError, MemoryError) as error:
            raise Undecodable("too_large", f"{type(error).__name__}: {error}") from None
        except Exception as error:  # noqa: BLE001 - told as an error row of that image, and counted
            # Each of Pillow's plugins lets something else through for damaged files: AVIF's a
            # RuntimeError, those of DDS and BLP a NotImplementedError.
            raise Undecodable("not_an_image", f"{type(error).__name__}: {error}") from None


def crop(decoded: Decoded, box: tuple[float, float, float, float]) -> Decoded:
    """Cut out left, top, right, bottom, given as fractions; at least one pixel is left."""
    height, width = decoded.pixels_HW3.shape[:2]
    left, top = min(int(box[0] * width), width - 1), min(int(box[1] * height), height - 1)
    right, bottom = max(round(box[2] * width), left + 1), max(round(box[3] * height), top + 1)
    return Decoded(pixels_HW3=decoded.pixels_HW3[top:bottom, left:right], is_gray=decoded.is_gray)


def _rgb(image: Image.Image) -> np.ndarray:
    if image.mode.startswith("I;16"):
        # Pillow would clip 16 bits at 255; keep their upper half, as OpenCV does.
        image = Image.fromarray((np.asarray(image.convert("I")) >> 8).astype(np.uint8))
    if image.mode == "CMYK" and image.format == "JPEG" and "adobe" not in image.info:
        # Only Photoshop stores inverted values, and says so; Pillow takes all for its.
        image = ImageChops.invert(image)
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))
