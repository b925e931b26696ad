"""Whether bytes begin as an image does, seen without decoding anything."""

import re

STARTS = (
    b"\xff\xd8\xff",  # JPEG
    b"\x89PNG\r\n\x1a\n",
    b"GIF87a",
    b"GIF89a",
    b"BM",
    b"II*\0",  # TIFF, and with more than 4 GiB
    b"MM\0*",
    b"II+\0",
    b"MM\0+",
    b"\0\0\0\x0cjP  \r\n\x87\n",  # JPEG 2000, and without a box around it
    b"\xff\x4f\xff\x51",
)

BRANDS = (b"avif", b"avis", b"mif1", b"msf1")
"""Kinds of AVIF."""

_PORTABLE = re.compile(rb"P[1-7fF]\s")
"""PPM and its kin."""


def is_image(data: bytes) -> bool:
    """Tell whether bytes begin as an image of a usual format.

    >>> is_image(b"GIF89a"), is_image(b"[default] aws_secret_access_key =")
    (True, False)
    """
    if data.startswith(STARTS) or _PORTABLE.match(data):
        return True
    if data[:4] == b"RIFF":
        return data[8:12] == b"WEBP"
    return data[4:8] == b"ftyp" and data[8:12] in BRANDS
