"""A large object goes up in parts, appears whole, once, and leaves nothing behind."""

import hashlib
import os
from typing import Any
from uuid import uuid4

import boto3
import pytest

from tests.conftest import S3Server
from wslabel.config.base import S3
from wslabel.errors import TransientStorageError
from wslabel.storage import failures, multipart
from wslabel.storage.location import Location

PART = 5 * 2**20
"""The smallest part that S3 takes, but for the last."""


@pytest.fixture
def place(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Location:
    """An empty root on an S3 server that is sent small parts."""
    monkeypatch.setattr(multipart, "PART_BYTES", PART)
    return Location(f"s3://{s3_server.bucket}/{uuid4().hex}", S3(endpoint=s3_server.endpoint))


def client_of(server: S3Server) -> Any:
    return boto3.client("s3", endpoint_url=server.endpoint)


def uploads(server: S3Server) -> list[Any]:
    """List the uploads that were begun and not ended."""
    return client_of(server).list_multipart_uploads(Bucket=server.bucket).get("Uploads", [])


def parts_of(server: S3Server, place: Location, path: str) -> int:
    """Tell in how many parts an object went up, which its ETag says; 0 for one put."""
    key = place.root.removeprefix(f"s3://{server.bucket}/") + f"/{path}"
    tag = client_of(server).head_object(Bucket=server.bucket, Key=key)["ETag"].strip('"')
    return int(tag.partition("-")[2] or 0)


@pytest.mark.parametrize(
    ("size", "parts"), [(0, 0), (PART - 1, 0), (PART + 1, 2), (2 * PART, 2), (12 * 2**20, 3)]
)
@pytest.mark.parametrize("written", [3 * 2**20, 7 * 2**20, 1 << 30])
def test_what_is_written_appears_whole(
    s3_server: S3Server, place: Location, size: int, parts: int, written: int
) -> None:
    data = os.urandom(size)

    def write(stream: Any) -> None:
        for start in range(0, size, written):
            assert not place.exists("a")
            stream.write(data[start : start + written])

    assert place.create_by("a", write)
    assert place.read("a").to_pybytes() == data
    assert parts_of(s3_server, place, "a") == parts
    assert uploads(s3_server) == []


def test_a_large_buffer_goes_up_in_parts(s3_server: S3Server, place: Location) -> None:
    data = os.urandom(11 * 2**20)
    assert place.create("a", data)
    assert parts_of(s3_server, place, "a") == 3
    assert place.read("a").to_pybytes() == data
    assert not place.create("a", data[::-1])
    assert place.read("a").to_pybytes() == data


def test_whoever_is_there_first_stays(s3_server: S3Server, place: Location) -> None:
    """Another writer comes while the parts go up."""
    data = os.urandom(PART + 5)

    def write(stream: Any) -> None:
        stream.write(data)
        assert place.create("a", b"first")

    assert place.create_by("a", write) is False
    assert place.read("a").to_pybytes() == b"first"
    assert uploads(s3_server) == []
    written = list[str]()
    assert place.create_by("a", written.append) is False
    assert written == []  # nothing is made that would be in vain


def test_a_writer_that_fails_leaves_nothing(s3_server: S3Server, place: Location) -> None:
    def write(stream: Any) -> None:
        stream.write(os.urandom(PART + 5))
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        place.create_by("a", write)
    assert not place.exists("a")
    assert uploads(s3_server) == []


class Flaky:
    """Answers some requests with an error of the server, before or after doing what they ask."""

    def __init__(self, client: Any, operation: str, times: int, *, after: bool = False) -> None:
        self.client, self.operation, self.times, self.after = client, operation, times, after
        self.calls = 0

    def __getattr__(self, operation: str) -> Any:
        ask = getattr(self.client, operation)
        if operation != self.operation:
            return ask

        def asking(**more: Any) -> Any:
            self.calls += 1
            if self.calls > self.times:
                return ask(**more)
            if self.after:
                ask(**more)
            raise OSError("SLOW_DOWN")

        return asking


@pytest.mark.parametrize(
    "operation", ["create_multipart_upload", "upload_part", "complete_multipart_upload"]
)
def test_a_request_that_failed_is_sent_again_alone(place: Location, operation: str) -> None:
    data = os.urandom(2 * PART + 5)
    flaky = Flaky(place._writer, operation, 1)
    vars(place)["_writer"] = flaky
    written = list[int]()

    def write(stream: Any) -> None:
        written.append(stream.write(data))

    assert place.create_by("a", write)
    assert written == [len(data)]  # not all of it again
    assert flaky.calls == (4 if operation == "upload_part" else 2)
    whole = place.read("a").to_pybytes()
    assert hashlib.sha256(whole).digest() == hashlib.sha256(data).digest()


def test_an_end_whose_answer_was_lost_was_one(s3_server: S3Server, place: Location) -> None:
    data = os.urandom(PART + 5)
    vars(place)["_writer"] = Flaky(place._writer, "complete_multipart_upload", 1, after=True)
    place.create_by("a", lambda stream: stream.write(data))
    assert place.read("a").to_pybytes() == data
    assert uploads(s3_server) == []


def test_a_server_that_fails_for_long_ends_plainly(
    s3_server: S3Server, place: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "PATIENCE_S", 0.5)
    vars(place)["_writer"] = Flaky(place._writer, "upload_part", 99)
    with pytest.raises(TransientStorageError, match=r"/a: storage failed .* SLOW_DOWN"):
        place.create_by("a", lambda stream: stream.write(os.urandom(PART)))
    assert uploads(s3_server) == []
