"""What Pillow writes of each format that we decode begins as an image, and texts do not."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from wslabel.sources.image_header import is_image

FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "TIFF", "JPEG2000", "AVIF", "PPM")


@pytest.mark.parametrize("form", FORMATS)
def test_each_format_is_an_image(form: str) -> None:
    sink = io.BytesIO()
    Image.new("RGB", (8, 8)).save(sink, form)
    assert is_image(sink.getvalue())
    assert not is_image(sink.getvalue()[1:])


def test_a_stream_of_jpeg_2000_is_an_image() -> None:
    sink = io.BytesIO()
    Image.new("RGB", (8, 8)).save(sink, "JPEG2000", no_jp2=True)
    assert is_image(sink.getvalue())


@given(text=st.text("abc =[]_-\n{}\"':#", max_size=40))
def test_a_text_is_none(text: str) -> None:
    assert not is_image(text.encode())


@pytest.mark.parametrize(
    "data", [b"", b"%PDF-1.7", b"%!PS-Adobe", b"PK\3\4", b"-----BEGIN RSA", b"root:x"]
)
def test_another_file_is_none(data: bytes) -> None:
    assert not is_image(data)
