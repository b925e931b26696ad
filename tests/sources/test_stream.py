"""A stream comes whole or is told to have ended early, and never from a stranger's own network."""

import gzip
import traceback

import pytest

from tests.sources.web import Answers
from wslabel.config.base import S3
from wslabel.errors import StorageError, TransientStorageError
from wslabel.sources.stream import open_stream


def test_a_stream_of_the_web_is_read_to_its_end(web: str) -> None:
    Answers.data["/200/lines.csv"] = b"a,b\n" * 2**19
    with open_stream(f"{web}/200/lines.csv", S3()) as stream:
        pieces = iter(lambda: stream.read(10**6), b"")
        assert b"".join(pieces) == Answers.data["/200/lines.csv"]
    Answers.data["/200/lines.csv.gz?sig=HUSH"] = gzip.compress(b"a,b\n" * 9)
    with open_stream(f"{web}/200/lines.csv.gz?sig=HUSH", S3()) as stream:
        assert stream.read() == b"a,b\n" * 9


def test_one_that_ends_early_is_told(web: str) -> None:
    with (
        pytest.raises(TransientStorageError, match="Payload") as caught,
        open_stream(f"{web}/short/a.csv?sig=HUSH", S3()) as stream,
    ):
        list(iter(lambda: stream.read(10**6), b""))
    assert "HUSH" not in "".join(traceback.format_exception(caught.value))


def test_what_is_not_there_is_told(web: str) -> None:
    with pytest.raises(FileNotFoundError, match="HTTP 404"):
        open_stream(f"{web}/404/a.csv", S3())


def test_it_leads_to_no_private_address_of_others(web: str) -> None:
    other = web.replace("127.0.0.1", "127.0.0.2")
    with pytest.raises(PermissionError, match=r"127\.0\.0\.2 is not public"):
        open_stream(f"{web}/away/{other}/200/a.csv", S3())


def test_no_other_scheme_is_opened() -> None:
    for uri in ("zip://a::http://127.0.0.1:9/a", "file:///etc/passwd", "ftp://host/a"):
        with pytest.raises(StorageError, match="unknown scheme"):
            open_stream(uri, S3())
