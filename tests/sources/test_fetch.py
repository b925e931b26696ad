"""A uri becomes bytes, or a named kind of failure that will stay."""

import sys
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from tests.conftest import S3Server
from tests.sources.web import DATA, Answers, Trusting, fetcher
from wslabel.config.base import S3
from wslabel.engine.room import Closed, Room
from wslabel.errors import StorageError, TransientStorageError
from wslabel.schema import ERROR_KINDS
from wslabel.screen import visible
from wslabel.sources import fetch as fetch_module
from wslabel.sources import web as web_module
from wslabel.sources.allowed import Allowed
from wslabel.sources.fetch import Fetcher, Unfetchable
from wslabel.storage.location import Location
from wslabel.storage.s3 import SDK_ATTEMPTS


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
        assert visible(uri) in str(caught.value)

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
        assert fetcher()(f"{web}/200/a.jpg") == DATA

    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            *((status, "missing") for status in (400, 404, 405, 406, 410, 414, 416, 418, 431)),
            *((status, "denied") for status in (401, 402, 403, 451)),
        ],
    )
    def test_an_answer_that_will_stay_has_a_kind(self, web: str, status: int, kind: str) -> None:
        with pytest.raises(Unfetchable) as caught:
            fetcher()(f"{web}/{status}/a.jpg")
        assert caught.value.kind == kind
        assert Answers.asked[f"/{status}/a.jpg"] == 1

    def test_a_server_that_was_busy_is_asked_again(self, web: str) -> None:
        assert fetcher()(f"{web}/shaky/a.jpg") == DATA
        assert Answers.asked["/shaky/a.jpg"] == 2

    @pytest.mark.parametrize("status", [408, 425, 429, 500, 501, 502, 503, 504, 522])
    def test_a_server_that_stays_busy_is_transient(self, web: str, status: int) -> None:
        with pytest.raises(TransientStorageError, match=f"HTTP {status}"):
            fetcher()(f"{web}/{status}/a.jpg", lambda _: 0.3)
        assert Answers.asked[f"/{status}/a.jpg"] > 1

    def test_a_server_that_asks_for_a_rest_gets_it(self, web: str) -> None:
        start = time.monotonic()
        assert fetcher()(f"{web}/rest/a.jpg") == DATA
        assert time.monotonic() - start >= 1.0
        assert Answers.asked["/rest/a.jpg"] == 2

    def test_a_redirect_that_leads_nowhere_is_missing(self, web: str) -> None:
        with pytest.raises(Unfetchable, match=r"^missing"):
            fetcher()(f"{web}/circle/a.jpg")

    @pytest.mark.parametrize("kind", ["short", "chunks", "hangup", "garbage"])
    def test_an_answer_that_ends_early_is_asked_for_again(self, web: str, kind: str) -> None:
        assert fetcher()(f"{web}/{kind}/a.jpg") == DATA
        assert Answers.asked[f"/{kind}/a.jpg"] == 2

    def test_a_server_that_falls_silent_is_left(
        self, web: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(web_module, "READ_S", 0.3)
        start = time.monotonic()
        with pytest.raises(TransientStorageError, match=r"(?i)time"):
            fetcher()(f"{web}/silent/a.jpg", lambda _: 0.0)
        assert time.monotonic() - start < 20.0

    @pytest.mark.parametrize("uri", ["http://nohost.invalid/a.jpg", "http://127.0.0.1:9/a.jpg"])
    def test_a_host_that_is_not_there_is_transient(self, uri: str) -> None:
        with pytest.raises(TransientStorageError, match=r"^http://.*/a\.jpg: storage failed once"):
            fetcher()(uri, lambda _: 0.0)

    @pytest.mark.parametrize("kind", ["404", "403", "503", "short", "circle", "silent"])
    def test_no_message_holds_a_signature(
        self, web: str, kind: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(web_module, "READ_S", 0.3)
        uri = f"{web}/{kind}/signed.jpg?X-Amz-Signature=HUSH&X-Amz-Credential=HUSH&size=2"
        with pytest.raises((Unfetchable, TransientStorageError)) as caught:
            fetcher()(uri, lambda _: 0.0)
        assert f"{web}/{kind}/signed.jpg?size=2" in str(caught.value)
        assert "HUSH" not in "".join(traceback.format_exception(caught.value))
        assert any("HUSH" in asked for asked in Answers.asked)  # the server gets all of it


class TestPlacesThatServeNobody:
    """A small server that answers as S3 does; moto asks for no valid credentials."""

    @pytest.fixture
    def answers(self, s3_server: S3Server, web: str) -> S3:
        return S3(endpoint=f"{web}/xml", region="us-east-1")

    @pytest.mark.parametrize(
        ("code", "told"),
        [
            ("ExpiredToken", "credentials have expired"),
            ("TokenRefreshRequired", "credentials have expired"),
            ("InvalidToken", "credentials are not valid"),
            ("InvalidAccessKeyId", "credentials are not valid"),
            ("RequestTimeTooSkewed", "clock"),
        ],
    )
    def test_credentials_that_are_refused_are_no_matter_of_an_image(
        self, answers: S3, code: str, told: str
    ) -> None:
        with pytest.raises(StorageError, match=told) as caught:
            Fetcher(answers)(f"s3://403-{code.lower()}/{code}/a.jpg")
        assert type(caught.value) is StorageError

    @pytest.mark.parametrize(
        ("status", "code", "kind"),
        [
            (403, "AccessDenied", "denied"),
            (403, "InvalidObjectState", "denied"),
            (403, "SignatureDoesNotMatch", "denied"),
            (403, "AllAccessDisabled", "denied"),
            (404, "NoSuchKey", "missing"),
            (404, "NoSuchBucket", "missing"),
            (405, "MethodNotAllowed", "denied"),
            (400, "InvalidRequest", "missing"),
        ],
    )
    def test_what_is_refused_of_one_image_is_its_own(
        self, answers: S3, status: int, code: str, kind: str
    ) -> None:
        with pytest.raises(Unfetchable, match=f"^{kind}: s3://"):
            Fetcher(answers)(f"s3://{status}-bucket/{code}/a.jpg")

    @pytest.mark.parametrize(("status", "code"), [(503, "SlowDown"), (500, "InternalError")])
    def test_a_busy_store_is_asked_again_and_not_too_often(
        self, answers: S3, status: int, code: str
    ) -> None:
        with pytest.raises(TransientStorageError):
            Fetcher(answers)(f"s3://{status}-bucket/{code}/a.jpg", lambda _: 0.0)
        asked = Answers.asked[f"/xml/{status}-bucket/{code}/a.jpg"]
        assert asked == SDK_ATTEMPTS

    def test_a_body_that_ends_early_is_asked_for_again(self, answers: S3) -> None:
        assert Fetcher(answers)("s3://short-bucket/x/a.jpg") == DATA

    @pytest.mark.parametrize("bucket", ["no_Such..name", "a" * 99])
    def test_a_bucket_that_cannot_be_is_missing(self, answers: S3, bucket: str) -> None:
        with pytest.raises(Unfetchable, match="missing"):
            Fetcher(answers)(f"s3://{bucket}/a.jpg")

    def test_without_any_credentials_nothing_goes_on(
        self, web: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
        with pytest.raises(StorageError, match=r"(?i)credentials") as caught:
            Fetcher(S3(endpoint=web, region="us-east-1"))("s3://200-bucket/x/a.jpg")
        assert type(caught.value) is StorageError


class TestLimits:
    """An image of more bytes than allowed is refused before they are read, where that is known."""

    LIMIT = 2**16

    @pytest.fixture
    def fetch(self) -> Callable[[str], str | bytes]:
        limited = Fetcher(S3(), Trusting(), max_bytes=self.LIMIT)

        def kind_of(uri: str) -> str | bytes:
            try:
                return limited(uri, lambda _: 0.0)
            except Unfetchable as error:
                return error.kind

        return kind_of

    def test_of_disk(self, fetch: Callable[[str], str | bytes], tmp_path: Path) -> None:
        path = tmp_path / "a.jpg"
        with path.open("wb") as stream:
            stream.truncate(2**40)  # more than the memory of any machine
        assert fetch(str(path)) == "too_large"
        assert fetch(f"{path}#bytes=0-{self.LIMIT}") == "too_large"
        assert fetch(f"{path}#bytes=1-{self.LIMIT}") == b"\0" * self.LIMIT

    def test_of_s3(self, bucket: Location) -> None:
        limited = Fetcher(bucket.s3, max_bytes=self.LIMIT)
        for size in (self.LIMIT, self.LIMIT + 1):
            bucket.create(f"{size}.jpg", b"x" * size)
        assert limited(bucket.uri(f"{self.LIMIT}.jpg")) == b"x" * self.LIMIT
        uri = bucket.uri(f"{self.LIMIT + 1}.jpg")
        with pytest.raises(Unfetchable, match=r"too_large: .*: 65,537 bytes"):
            limited(uri)
        with pytest.raises(Unfetchable, match="too_large"):
            limited(f"{uri}#bytes=0-{self.LIMIT}")
        assert limited(f"{uri}#bytes=1-{self.LIMIT}") == b"x" * self.LIMIT

    @pytest.mark.parametrize("kind", ["endless", "huge"])
    def test_of_the_web(self, fetch: Callable[[str], str | bytes], web: str, kind: str) -> None:
        """One server says how much will come, the other never ends."""
        start = time.monotonic()
        assert fetch(f"{web}/{kind}/a.jpg") == "too_large"
        assert Answers.sent[f"/{kind}/a.jpg"] <= (0 if kind == "huge" else 2**24)
        assert time.monotonic() - start < 10.0

    def test_of_a_range_that_the_web_gives_all_of(
        self, fetch: Callable[[str], str | bytes], web: str
    ) -> None:
        Answers.data["/200/all.tar"] = bytes(range(256)) * 2**10  # more than the limit
        assert fetch(f"{web}/200/all.tar") == "too_large"
        assert fetch(f"{web}/200/all.tar#bytes=70000-70255") == bytes(range(112, 256)) + bytes(
            range(112)
        )
        assert fetch(f"{web}/200/all.tar#bytes=262100-262200") == "missing"
        assert fetch(f"{web}/200/all.tar#bytes=5-4") == b""

    def test_of_the_memory(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        def full(*_: object) -> bytes:
            raise MemoryError

        monkeypatch.setattr(fetch_module, "_from_disk", full)
        with pytest.raises(Unfetchable, match="too_large"):
            Fetcher(S3())(str(tmp_path))

    def test_there_is_room_before_bytes_are_read(self, bucket: Location, web: str) -> None:
        bucket.create("a.jpg", DATA)
        for fetch, uri in (
            (Fetcher(bucket.s3), bucket.uri("a.jpg")),
            (fetcher(), f"{web}/200/a.jpg"),
            (fetcher(), f"{web}/chunks/room.jpg"),
            (fetcher(), __file__),
        ):
            room = Room(1)
            data = fetch(uri, None, room.at(0))
            assert room.used == len(data) > 1
            room.close()
            with pytest.raises(Closed):
                fetch(uri, None, room.at(1))
            assert room.used == len(data)


class Broken(MemoryFileSystem):  # type: ignore[misc]
    """A cloud's store whose library raises what its name says."""

    protocol = "gs"
    cachable = False

    def cat_file(self, path: str, **_: Any) -> bytes:
        error = type(path.rpartition("/")[2], (Exception,), {})
        raise error("https://me:HUSH@host/a?sig=HUSH")


class TestOtherClouds:
    """Their libraries are not installed here; one of fsspec's own stands in."""

    def _store(self, monkeypatch: pytest.MonkeyPatch, kind: type) -> None:
        monkeypatch.setattr(MemoryFileSystem, "store", {})
        monkeypatch.setattr(fsspec, "get_filesystem_class", lambda _: kind)
        monkeypatch.setattr(fetch_module, "unreadable", lambda _: None)

    def test_their_objects_are_fetched(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._store(monkeypatch, MemoryFileSystem)
        MemoryFileSystem().pipe_file("gs://bucket/a.jpg", DATA)
        fetch = Fetcher(S3(), max_bytes=len(DATA))
        assert fetch("gs://bucket/a.jpg") == DATA
        assert fetch("gs://bucket/a.jpg#bytes=2-5") == DATA[2:6]
        for uri, limit in (("none.jpg", 99), ("a.jpg#bytes=5-99", 99), ("a.jpg", 3)):
            with pytest.raises(Unfetchable, match="too_large" if limit == 3 else "missing"):
                Fetcher(S3(), max_bytes=limit)(f"gs://bucket/{uri}")
        with pytest.raises(Unfetchable, match=r"denied: .*images\.allow"):
            Fetcher(S3(), Allowed(("gs://mine",), only=True))("gs://bucket/a.jpg")

    @pytest.mark.parametrize("name", ["BadZipFile", "KeyError", "DecodeError"])
    def test_what_their_libraries_raise_is_a_row(
        self, name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        self._store(monkeypatch, Broken)
        MemoryFileSystem().pipe_file(f"gs://bucket/{name}", DATA)
        with pytest.raises(Unfetchable, match=r"^missing: gs://bucket"):
            Fetcher(S3())(f"gs://bucket/{name}")
        assert f"gs://bucket/{name}: {name}: https://host/a" in caplog.text
        assert "HUSH" not in caplog.text

    @pytest.mark.parametrize("name", ["ServiceRequestError", "ConnectionError", "ReadTimeout"])
    def test_what_passes_is_tried_again(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self._store(monkeypatch, Broken)
        MemoryFileSystem().pipe_file(f"gs://bucket/{name}", DATA)
        with pytest.raises(TransientStorageError, match=name):
            Fetcher(S3())(f"gs://bucket/{name}", lambda _: 0.0)

    def test_a_package_that_is_absent_stops_all(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "adlfs", None)
        with pytest.raises(StorageError, match=r"adlfs is not installed; pip install"):
            Fetcher(S3())("az://bucket/a.jpg")


@pytest.mark.parametrize(
    "uri",
    [
        "zip://x::simplecache::http://127.0.0.1:9/a.zip",
        *("file:///etc/passwd", "local:///etc/passwd", "memory://a", "data:///,a", "ftp://h/a"),
        *("github://o:r@/a", "reference://a", "dir::file:///etc/passwd", "HTTP://127.0.0.1:9/"),
    ],
)
def test_no_other_scheme_is_opened(uri: str) -> None:
    """A manifest of before may hold such uris; new ones are refused when images are listed."""
    start = time.monotonic()
    with pytest.raises(Unfetchable, match=r"^denied: .*unknown scheme"):
        Fetcher(S3())(uri)
    assert time.monotonic() - start < 1.0


def test_every_kind_is_one_of_the_schema() -> None:
    assert {"missing", "denied"} <= set(ERROR_KINDS)
    assert str(Unfetchable("denied", "s3://b/a")) == "denied: s3://b/a"
