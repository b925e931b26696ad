"""A file appears whole, once, and the same on disk and on S3."""

import errno
import os
import pickle
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.conftest import S3Server
from wslabel.config.base import S3
from wslabel.errors import StorageError, TransientStorageError
from wslabel.storage import failures
from wslabel.storage.failures import is_permanent, retrying
from wslabel.storage.location import (
    STAGING,
    STALE_AFTER_S,
    Location,
)
from wslabel.storage.s3 import SDK_ATTEMPTS
from wslabel.storage.table import Table


@pytest.fixture(params=["disk", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Location:
    """An empty root on a disk and on an S3 server."""
    if request.param == "disk":
        return Location(str(tmp_path / "root"))
    server: S3Server = request.getfixturevalue("s3_server")
    return Location(f"s3://{server.bucket}/{uuid4().hex}", S3(endpoint=server.endpoint))


@pytest.fixture
def refusing() -> Iterator[S3]:
    """An endpoint that refuses connections."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, never listening
        yield S3(endpoint=f"http://127.0.0.1:{taken.getsockname()[1]}", region="us-east-1")


SNEAKY = st.sampled_from(["..", ".", "/", "\\", "a", "\0", "s3:", "//", "..a", "\n"])


@given(st.lists(SNEAKY | st.text(max_size=3), max_size=6).map("".join))
@example("../x")
@example("a/../../x")
@example("/etc/passwd")
@example("..\\x")
@example("a\0b")
def test_no_path_leads_out_of_a_root(path: str) -> None:
    place = Location("/top/of/it")
    try:
        full = place._full(path)
    except StorageError:
        assert path.startswith(("/", "\\")) or ".." in path or "\0" in path
        return
    assert os.path.normpath(full).startswith("/top/of/it")
    assert ".." not in full.replace("\\", "/").split("/")
    assert "\0" not in full


class TestOnDiskAndS3:
    @pytest.mark.parametrize("path", ["../x", "a/../../x", "/x", "a\0"])
    def test_nothing_outside_is_read_or_written(self, place: Location, path: str) -> None:
        for access in (place.read, place.open, place.exists, place.delete, place.files):
            with pytest.raises(StorageError, match="is no path below it"):
                access(path)  # type: ignore[operator]
        for write in (place.create, place.replace):
            with pytest.raises(StorageError, match="is no path below it"):
                write(path, b"")  # type: ignore[operator]

    def test_what_was_created_is_read(self, place: Location) -> None:
        assert place.create("deep/er/a.bin", b"\x00sea\xff") is True
        assert place.read("deep/er/a.bin").to_pybytes() == b"\x00sea\xff"

    def test_a_buffer_is_created_as_bytes_are(self, place: Location) -> None:
        assert place.create("a", pa.py_buffer(b"sea"))
        assert place.read("a").to_pybytes() == b"sea"

    def test_an_empty_file_is_a_file(self, place: Location) -> None:
        assert place.create("empty", b"")
        assert place.read("empty").to_pybytes() == b""
        assert place.exists("empty")

    def test_a_large_file_is_created_once_and_whole(self, place: Location) -> None:
        data = os.urandom(1 << 20)
        assert place.create("large", data)
        assert not place.create("large", data[::-1])
        assert place.read("large").to_pybytes() == data

    def test_a_file_is_written_to_a_stream_once_and_whole(self, place: Location) -> None:
        def write(stream: Any) -> None:
            stream.write(b"sea")
            assert not place.exists("t/a")
            stream.write(memoryview(b" and land"))

        assert place.create_by("t/a", write)
        assert place.read("t/a").to_pybytes() == b"sea and land"
        assert not place.create_by("t/a", lambda stream: stream.write(b"late"))
        assert place.read("t/a").to_pybytes() == b"sea and land"

    def test_a_second_writer_leaves_the_first_file(self, place: Location) -> None:
        assert place.create("t/a", b"first") is True
        assert place.create("t/a", b"second, longer") is False
        assert place.read("t/a").to_pybytes() == b"first"
        assert [entry.path for entry in place.files("t")] == ["a"]

    def test_a_missing_file_is_not_found(self, place: Location) -> None:
        place.create("other", b"x")
        with pytest.raises(FileNotFoundError):
            place.read("none")
        with pytest.raises(FileNotFoundError):
            place.open("none")

    def test_a_missing_file_of_a_missing_root_is_not_found(self, place: Location) -> None:
        with pytest.raises(FileNotFoundError):
            place.read("deep/none")

    def test_parts_of_a_file_are_read(self, place: Location) -> None:
        place.create("a", b"0123456789")
        with place.open("a") as stream:
            stream.seek(3)
            assert stream.read(4) == b"3456"

    def test_files_are_listed_sorted_with_their_sizes(self, place: Location) -> None:
        for name in ("b", "a10", "a2", "c/d"):
            place.create(f"t/{name}", name.encode())
        assert [(e.path, e.size) for e in place.files("t")] == [("a10", 3), ("a2", 2), ("b", 1)]
        assert all(entry.mtime_ns > 0 for entry in place.files("t"))

    def test_files_of_folders_are_listed_when_asked_for(self, place: Location) -> None:
        for name in ("b", "a/z", "a/b/c", "a.txt"):
            place.create(f"t/{name}", b"x")
        found = [entry.path for entry in place.files("t", recursive=True)]
        assert found == sorted(["b", "a/z", "a/b/c", "a.txt"])

    def test_a_missing_folder_is_empty(self, place: Location) -> None:
        assert place.files("none") == []
        assert place.files("none", recursive=True) == []

    def test_a_folder_whose_name_begins_like_another_is_another(self, place: Location) -> None:
        place.create("t/a", b"x")
        place.create("t2/b", b"x")
        assert [entry.path for entry in place.files("t", recursive=True)] == ["a"]

    def test_only_a_file_exists(self, place: Location) -> None:
        place.create("t/a", b"x")
        assert place.exists("t/a")
        assert not place.exists("t")
        assert not place.exists("t/b")

    def test_a_file_is_deleted_once_or_twice(self, place: Location) -> None:
        place.create("t/a", b"x")
        place.delete("t/a")
        assert not place.exists("t/a")
        assert place.files("t") == []
        place.delete("t/a")

    def test_a_deleted_file_can_be_created_again(self, place: Location) -> None:
        place.create("t/a", b"first")
        place.delete("t/a")
        assert place.create("t/a", b"second") is True
        assert place.read("t/a").to_pybytes() == b"second"

    def test_of_many_writers_one_is_first(self, place: Location) -> None:
        place.create("warm", b"x")
        ready = threading.Barrier(8)

        def write(index: int) -> bool:
            ready.wait()
            return place.create("t/race", f"writer {index}".encode() * 999)

        with ThreadPoolExecutor(8) as pool:
            won = list(pool.map(write, range(8)))
        assert won.count(True) == 1
        winner = f"writer {won.index(True)}".encode() * 999
        assert place.read("t/race").to_pybytes() == winner

    def test_it_travels_without_connections(self, place: Location) -> None:
        place.create("a", b"sea")  # opens what can be open
        assert len(pickle.dumps(place)) < 1000
        other = pickle.loads(pickle.dumps(place))
        assert set(vars(other)) == {"root", "s3", "is_s3", "_base", "digests"}
        assert other.read("a").to_pybytes() == b"sea"

    def test_many_files_are_read_in_the_order_asked_for(self, place: Location) -> None:
        names = [f"{index}" for index in range(12)]
        for name in names:
            place.create(name, name.encode())
        read = place.read_many(names[::-1], lambda name: place.read(name).to_pybytes())
        assert read == [name.encode() for name in names[::-1]]

    def test_a_root_may_end_with_a_slash(self, place: Location) -> None:
        place.create("t/a", b"x")
        same = Location(place.root + "/", place.s3)
        assert same.uri("t/a") == place.uri("t/a")
        assert same.exists("t/a")

    def test_sweeping_harms_no_file(self, place: Location) -> None:
        place.create("t/a", b"x")
        place.sweep()
        assert place.exists("t/a")


class TestDrafts:
    @pytest.fixture
    def root(self, tmp_path: Path) -> Location:
        location = Location(str(tmp_path))
        location.create("images/00000.parquet", b"x")
        return location

    def leave_draft(self, root: Location, age_s: float) -> Path:
        draft = Path(root.root, STAGING, uuid4().hex)
        draft.write_bytes(b"half")
        then = time.time() - age_s
        os.utime(draft, (then, then))
        return draft

    def test_a_finished_writer_leaves_none(self, root: Location) -> None:
        root.create("images/00000.parquet", b"too late")
        assert list(Path(root.root, STAGING).iterdir()) == []

    def test_a_failed_writer_leaves_none(self, root: Location) -> None:
        with pytest.raises(StorageError, match="name too long"):
            root.create("x" * 300, b"x")  # noticed when the draft gets its name
        assert list(Path(root.root, STAGING).iterdir()) == []

    def test_only_stale_ones_are_swept(self, root: Location) -> None:
        fresh, stale = self.leave_draft(root, 1.0), self.leave_draft(root, STALE_AFTER_S + 60)
        root.sweep()
        assert fresh.exists()
        assert not stale.exists()

    def test_one_of_a_killed_writer_is_in_no_table(self, root: Location) -> None:
        self.leave_draft(root, 1.0)
        assert Table(root, "images").names() == ["00000.parquet"]
        assert Table(root, "images").generations() == {0: 0}
        assert [e.path for e in root.files("images", recursive=True)] == ["00000.parquet"]

    def test_a_root_without_any_is_swept(self, tmp_path: Path) -> None:
        Location(str(tmp_path / "none")).sweep()
        assert not (tmp_path / "none").exists()


class TestPlacesThatTakeNoFiles:
    def stopped(self, location: Location, path: str, data: bytes = b"x") -> str:
        """Create a file in vain; give what is told, which comes at once."""
        start = time.perf_counter()
        with pytest.raises(StorageError) as caught:
            location.create(path, data)
        assert time.perf_counter() - start < 20.0  # of the minute in which others are tried again
        assert type(caught.value) is StorageError  # not one that a next run mends
        assert str(caught.value).startswith(location.root)
        return str(caught.value)

    def test_a_full_disk_is_told_at_once_and_keeps_no_draft(
        self, tmp_path: Path, mounted: Callable[..., Path]
    ) -> None:
        root = mounted(tmp_path / "small", "-t", "tmpfs", "-o", "size=256k", "tmpfs")
        location = Location(str(root))
        assert location.create("t/fits", bytes(100_000))
        assert "disk is full; make room" in self.stopped(location, "t/large", bytes(300_000))
        assert list((root / STAGING).iterdir()) == []
        assert location.create("t/fits too", bytes(100_000))

    def test_a_full_disk_is_no_matter_of_one_file(
        self, tmp_path: Path, mounted: Callable[..., Path]
    ) -> None:
        root = mounted(tmp_path / "small", "-t", "tmpfs", "-o", "size=64k", "tmpfs")
        with pytest.raises(OSError, match="No space") as caught:
            (root / "a").write_bytes(bytes(100_000))
        assert is_permanent(caught.value)
        with pytest.raises(StorageError, match=r"a\.jpg: the disk is full"):
            retrying(lambda: (root / "b").write_bytes(bytes(100_000)), "a.jpg")

    def test_a_read_only_file_system_is_told_at_once(
        self, tmp_path: Path, mounted: Callable[..., Path]
    ) -> None:
        Location(str(tmp_path / "root")).create("t/a", b"x")
        root = mounted(tmp_path / "root", "--bind", str(tmp_path / "root"))
        subprocess.run(["mount", "-o", "remount,ro,bind", str(root)], check=True)
        location = Location(str(root))
        assert "read-only; mount it for writing" in self.stopped(location, "t/b")
        assert location.read("t/a").to_pybytes() == b"x"
        with pytest.raises(StorageError, match="read-only"):
            location.delete("t/a")

    def test_a_folder_on_another_file_system_than_the_drafts_is_told_at_once(
        self, tmp_path: Path, mounted: Callable[..., Path]
    ) -> None:
        mounted(tmp_path / "root" / "t", "-t", "tmpfs", "tmpfs")
        told = self.stopped(Location(str(tmp_path / "root")), "t/a")
        assert "a workspace lies on one file system" in told

    @pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP])
    def test_a_file_system_without_hard_links_is_told_at_once(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
    ) -> None:
        def link(*_: object) -> None:  # as FAT and some network file systems answer
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(os, "link", link)
        assert "makes no hard links" in self.stopped(Location(str(tmp_path)), "t/a")

    def test_a_file_in_the_place_of_a_folder_is_told_at_once(self, tmp_path: Path) -> None:
        (tmp_path / "t").write_bytes(b"")
        assert "cannot be written here" in self.stopped(Location(str(tmp_path)), "t/a")


class Refusals(BaseHTTPRequestHandler):
    """An S3 server that has no object and answers a writer by what the bucket's name says."""

    protocol_version = "HTTP/1.1"
    answers: dict[str, list[tuple[int, str]]]

    def do_HEAD(self) -> None:
        self.answer(404, "NoSuchKey")

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        answers = self.answers[self.path.split("/")[1]]
        self.answer(*(answers.pop(0)))

    def answer(self, status: int, code: str) -> None:
        body = f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()
        body = b"" if status == 200 or self.command == "HEAD" else body
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "application/xml")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Be quiet."""


@pytest.fixture
def refusals(s3_server: S3Server) -> Iterator[S3]:
    """A server whose answers to writers a test sets; the environment has credentials."""
    Refusals.answers = {}
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusals) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield S3(endpoint=f"http://127.0.0.1:{server.server_port}", region="us-east-1")
        server.shutdown()
        thread.join()


class TestAnswersToWriters:
    def test_a_writer_without_the_right_is_told_at_once(self, refusals: S3) -> None:
        answers = Refusals.answers["denied"] = [(403, "AccessDenied")] * 9
        with pytest.raises(StorageError, match=r"^s3://denied/a: there is no right to write"):
            Location("s3://denied", refusals).create("a", b"x")
        assert len(answers) == 8

    @pytest.mark.parametrize(
        ("status", "code", "told"),
        [
            (400, "ExpiredToken", "credentials have expired; renew them"),
            (400, "TokenRefreshRequired", "credentials have expired; renew them"),
            (403, "RequestExpired", "credentials have expired; renew them"),
            (400, "InvalidToken", "credentials are not valid"),
            (403, "InvalidAccessKeyId", "credentials are not valid"),
            (403, "SignatureDoesNotMatch", "credentials are not valid"),
            (403, "RequestTimeTooSkewed", "clock of this machine is wrong"),
            (403, "AllAccessDisabled", "closed; ask its owner"),
            (400, "EntityTooLarge", "smaller images.shard_size"),
            (400, "InvalidBucketName", "cannot be the name of a bucket"),
            (404, "NoSuchBucket", "create it first"),
            (501, "NotImplemented", "take another one"),
            (405, "MethodNotAllowed", "take another one"),
            (507, "XMinioStorageFull", "the store is full"),
            (400, "InvalidRequest", "cannot be written here"),
        ],
    )
    def test_what_will_not_pass_is_told_at_once_with_what_to_do(
        self, refusals: S3, status: int, code: str, told: str
    ) -> None:
        answers = Refusals.answers["stays"] = [(status, code)] * 9
        with pytest.raises(StorageError, match=told) as caught:
            Location("s3://stays", refusals).create("a", b"x")
        assert type(caught.value) is StorageError  # not one that a next run mends
        assert str(caught.value).startswith("s3://stays/a: ")
        assert code in str(caught.value)
        assert len(answers) >= 9 - SDK_ATTEMPTS  # the SDK alone may have asked again

    @pytest.mark.parametrize(
        ("status", "code"),
        [
            (400, "RequestTimeout"),
            (503, "SlowDown"),
            (429, "TooManyRequests"),
            (400, "IncompleteBody"),
        ],
    )
    def test_what_may_pass_is_tried_again(self, refusals: S3, status: int, code: str) -> None:
        Refusals.answers["passes"] = [(status, code)] * 2 + [(200, "")]
        assert Location("s3://passes", refusals).create("a", b"x") is True

    def test_a_writer_who_came_second_leaves_it_at_that(self, refusals: S3) -> None:
        answers = Refusals.answers["lost"] = [(412, "PreconditionFailed")] * 9
        assert Location("s3://lost", refusals).create("a", b"x") is False
        assert len(answers) == 8

    def test_a_race_that_nobody_won_is_run_again(self, refusals: S3) -> None:
        conflict = 409, "ConditionalRequestConflict"
        answers = Refusals.answers["race"] = [conflict, conflict, (200, "")]
        assert Location("s3://race", refusals).create("a", b"x") is True
        assert answers == []

    def test_a_race_that_another_won_is_lost(self, refusals: S3) -> None:
        conflict = 409, "ConditionalRequestConflict"
        Refusals.answers["late"] = [conflict, (412, "PreconditionFailed")]
        assert Location("s3://late", refusals).create("a", b"x") is False


class TestS3:
    def test_a_private_object_is_refused_to_strangers(self, s3_server: S3Server) -> None:
        folder = f"s3://{s3_server.bucket}/{uuid4().hex}"
        Location(folder, S3(endpoint=s3_server.endpoint)).create("private", b"x")
        stranger = Location(folder, S3(endpoint=s3_server.endpoint, anonymous=True))
        start = time.perf_counter()
        with pytest.raises(OSError, match="ACCESS_DENIED") as caught:
            stranger.read("private")
        assert is_permanent(caught.value)
        assert time.perf_counter() - start < 20.0  # not tried again

    def test_a_public_object_is_read_by_strangers(self, s3_server: S3Server) -> None:
        key = uuid4().hex
        client = boto3.client("s3", endpoint_url=s3_server.endpoint)
        client.put_object(Bucket=s3_server.bucket, Key=key, Body=b"sea", ACL="public-read")
        stranger = S3(endpoint=s3_server.endpoint, anonymous=True)
        assert Location(f"s3://{s3_server.bucket}", stranger).read(key).to_pybytes() == b"sea"

    def test_a_missing_bucket_is_not_found(self, s3_server: S3Server) -> None:
        place = Location("s3://nobucket/x", S3(endpoint=s3_server.endpoint))
        with pytest.raises(FileNotFoundError):
            place.read("a")
        with pytest.raises(StorageError, match="there is no such bucket; create it first"):
            place.create("a", b"x")

    def test_an_endpoint_that_refuses_is_transient_and_soon_told(
        self, s3_server: S3Server, refusing: S3, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(failures, "PATIENCE_S", 2.0)
        place = Location("s3://bucket/x", refusing)
        actions: list[Callable[[], object]] = [
            lambda: place.read("a"),
            lambda: place.files(""),
            lambda: place.create("a", b"x"),
            lambda: place.delete("a"),
        ]
        start = time.perf_counter()
        with ThreadPoolExecutor(4) as pool:
            told = [f.exception() for f in [pool.submit(action) for action in actions]]
        assert time.perf_counter() - start < 20.0
        assert [type(error) for error in told] == [TransientStorageError] * 4
        assert all("storage failed" in str(error) for error in told)

    def test_a_writer_without_credentials_is_told(
        self, s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
        place = Location(f"s3://{s3_server.bucket}/x", S3(endpoint=s3_server.endpoint))
        with pytest.raises(StorageError, match="credentials"):
            place.create("a", b"x")
