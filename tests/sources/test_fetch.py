"""A uri becomes bytes, or a named kind of failure that will stay."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from uuid import uuid4

import boto3
import pytest

from tests.conftest import S3Server
from wslabel.config.base import S3
from wslabel.errors import TransientStorageError
from wslabel.schema import ERROR_KINDS
from wslabel.sources.fetch import Fetcher, Unfetchable
from wslabel.storage.location import RETRIES, Location

DATA = b"\xff\xd8 not quite a JPEG \x00"


class Answers(BaseHTTPRequestHandler):
    """`/503/x` answers 503, and so on; `/shaky/x` answers 503 the first time."""

    asked: dict[str, int]

    def do_GET(self) -> None:
        self.asked[self.path] = self.asked.get(self.path, 0) + 1
        kind = self.path.split("/")[1]
        if kind == "shaky":
            kind = "503" if self.asked[self.path] == 1 else "200"
        self.send_response(int(kind))
        body = DATA if kind == "200" else b""
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Be quiet."""


@pytest.fixture(scope="module")
def web() -> Iterator[str]:
    """The address of a small HTTP server."""
    Answers.asked = {}
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def bucket(s3_server: S3Server) -> Location:
    return Location(f"s3://{s3_server.bucket}/{uuid4().hex}", S3(endpoint=s3_server.endpoint))


class TestDisk:
    def test_good_bytes_come_as_they_are(self, tmp_path: Path) -> None:
        path = tmp_path / "a b#ü?.jpg"
        path.write_bytes(DATA)
        assert Fetcher(S3())(str(path)) == DATA

    @pytest.mark.parametrize("name", ["none.jpg", "none/none.jpg", ".", "a\0.jpg", "x" * 5000])
    def test_what_is_no_file_is_missing(self, tmp_path: Path, name: str) -> None:
        uri = f"{tmp_path}/{name}"
        with pytest.raises(Unfetchable) as caught:
            Fetcher(S3())(uri)
        assert caught.value.kind == "missing"
        assert uri in str(caught.value)

    def test_a_path_through_a_file_is_missing(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(Unfetchable, match="missing"):
            Fetcher(S3())(str(tmp_path / "file" / "a.jpg"))


class TestS3:
    def test_good_bytes_come_as_they_are(self, bucket: Location) -> None:
        bucket.create("a b.jpg", DATA)
        assert Fetcher(bucket.s3)(bucket.uri("a b.jpg")) == DATA

    def test_a_missing_object_is_missing(self, bucket: Location) -> None:
        with pytest.raises(Unfetchable) as caught:
            Fetcher(bucket.s3)(bucket.uri("none.jpg"))
        assert caught.value.kind == "missing"

    def test_a_missing_bucket_is_missing(self, bucket: Location) -> None:
        with pytest.raises(Unfetchable) as caught:
            Fetcher(bucket.s3)("s3://nobucket/none.jpg")
        assert caught.value.kind == "missing"

    def test_a_private_object_is_denied_to_strangers(self, bucket: Location) -> None:
        bucket.create("a.jpg", DATA)
        stranger = bucket.s3.model_copy(update={"anonymous": True})
        with pytest.raises(Unfetchable) as caught:
            Fetcher(stranger)(bucket.uri("a.jpg"))
        assert caught.value.kind == "denied"

    def test_a_public_object_is_good_for_strangers(self, s3_server: S3Server) -> None:
        client = boto3.client("s3", endpoint_url=s3_server.endpoint)
        key = f"{uuid4().hex}.jpg"
        client.put_object(Bucket=s3_server.bucket, Key=key, Body=DATA, ACL="public-read")
        stranger = S3(endpoint=s3_server.endpoint, anonymous=True)
        assert Fetcher(stranger)(f"s3://{s3_server.bucket}/{key}") == DATA

    def test_threads_share_one_fetcher(self, bucket: Location) -> None:
        names = [f"{index}.jpg" for index in range(8)]
        for name in names:
            bucket.create(name, name.encode())
        with ThreadPoolExecutor(8) as pool:
            fetched = list(pool.map(Fetcher(bucket.s3), map(bucket.uri, names)))
        assert fetched == [name.encode() for name in names]


class TestWeb:
    def test_good_bytes_come_as_they_are(self, web: str) -> None:
        assert Fetcher(S3())(f"{web}/200/a.jpg") == DATA

    @pytest.mark.parametrize(
        ("status", "kind"), [(404, "missing"), (410, "missing"), (401, "denied"), (403, "denied")]
    )
    def test_an_answer_that_will_stay_has_a_kind(self, web: str, status: int, kind: str) -> None:
        with pytest.raises(Unfetchable) as caught:
            Fetcher(S3())(f"{web}/{status}/a.jpg")
        assert caught.value.kind == kind
        assert Answers.asked[f"/{status}/a.jpg"] == 1

    def test_a_server_that_was_busy_is_asked_again(self, web: str) -> None:
        assert Fetcher(S3())(f"{web}/shaky/a.jpg") == DATA
        assert Answers.asked["/shaky/a.jpg"] == 2

    def test_a_server_that_stays_busy_is_transient(self, web: str) -> None:
        with pytest.raises(TransientStorageError, match="HTTP 503"):
            Fetcher(S3())(f"{web}/503/a.jpg")
        assert Answers.asked["/503/a.jpg"] == RETRIES


def test_every_kind_is_one_of_the_schema() -> None:
    assert {"missing", "denied"} <= set(ERROR_KINDS)
    assert str(Unfetchable("denied", "s3://b/a")) == "denied: s3://b/a"
