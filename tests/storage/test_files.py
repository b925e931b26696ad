"""Files that models come from: hashed once, copied once."""

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import boto3
import pytest

from tests.conftest import S3Server
from wslabel.config.base import S3
from wslabel.errors import StorageError, WeightsError
from wslabel.storage.files import (
    cache_folder,
    content_hash,
    local_copy,
    remember,
    remembered,
)
from wslabel.storage.location import Location

COPYING = """
import sys
from pathlib import Path
from wslabel.config.base import S3
from wslabel.storage.files import local_copy
from wslabel.storage.location import Location
uri, endpoint = sys.argv[1:]
def peak():  # in bytes; what getrusage tells is the parent's where that is larger
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024
s3 = S3(endpoint=endpoint, region="us-east-1")
Location(uri.rpartition("/")[0], s3).entry("none")  # loads what S3 needs
before = peak()
print(local_copy(uri, s3), peak() - before)
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache of each test's own."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("WSLABEL_CACHE", str(folder))
    yield folder
    assert not list(folder.rglob(".*"))  # no draft is left behind


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "net.pth"
    path.write_bytes(b"weights")
    return path


@pytest.fixture
def bucket(s3_server: S3Server) -> Location:
    return Location(f"s3://{s3_server.bucket}/{uuid4().hex}", S3(endpoint=s3_server.endpoint))


class TestContentHash:
    def test_it_is_the_sha256_of_the_bytes(self, weights: Path) -> None:
        assert content_hash(weights) == hashlib.sha256(b"weights").hexdigest()

    def test_a_changed_file_has_another(self, weights: Path) -> None:
        before = content_hash(weights)
        weights.write_bytes(b"WEIGHTS")  # as long as before
        stat = weights.stat()
        os.utime(weights, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
        assert content_hash(weights) == hashlib.sha256(b"WEIGHTS").hexdigest() != before

    def test_a_file_of_another_size_has_another(self, weights: Path) -> None:
        content_hash(weights)
        stat = weights.stat()
        weights.write_bytes(b"more weights")
        os.utime(weights, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        assert content_hash(weights) == hashlib.sha256(b"more weights").hexdigest()

    @pytest.mark.parametrize("is_replaced", [True, False], ids=["replaced", "rewritten"])
    def test_a_file_of_the_same_size_and_time_of_change_has_another(
        self, weights: Path, is_replaced: bool
    ) -> None:
        """As files in images that are built to be reproducible have."""
        os.utime(weights, ns=(0, 0))
        before = content_hash(weights)
        time.sleep(0.05)  # the clock of a file system ticks slowly
        target = weights.with_name("new") if is_replaced else weights
        target.write_bytes(b"WEIGHTS")
        target.replace(weights)
        os.utime(weights, ns=(0, 0))
        assert content_hash(weights) == hashlib.sha256(b"WEIGHTS").hexdigest() != before

    def test_the_bytes_are_read_once(self, weights: Path, cache: Path) -> None:
        content_hash(weights)
        (note,) = (cache / "hashes").iterdir()
        note.write_text("remembered")
        assert content_hash(weights) == "remembered"

    def test_equal_files_have_the_same(self, weights: Path, tmp_path: Path) -> None:
        copy = tmp_path / "copy"
        copy.write_bytes(b"weights")
        assert content_hash(copy) == content_hash(weights)

    def test_a_missing_file_has_none(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            content_hash(tmp_path / "none")


class TestLocalCopy:
    def test_a_file_on_disk_is_its_own(self, weights: Path, cache: Path) -> None:
        assert local_copy(str(weights), S3()) == weights
        assert not cache.exists()

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(WeightsError, match=r"there is no file '.*/none\.pth'"):
            local_copy(str(tmp_path / "none.pth"), S3())

    def test_a_folder_is_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(WeightsError):
            local_copy(str(tmp_path), S3())

    def test_an_object_is_copied_under_its_name(self, bucket: Location) -> None:
        bucket.create("deep/net.pth", b"weights")
        copy = local_copy(bucket.uri("deep/net.pth"), bucket.s3)
        assert copy.name == "net.pth"
        assert copy.read_bytes() == b"weights"

    def test_an_object_is_copied_once(self, bucket: Location) -> None:
        bucket.create("net.pth", b"weights")
        copy = local_copy(bucket.uri("net.pth"), bucket.s3)
        copy.write_bytes(b"marked!")
        assert local_copy(bucket.uri("net.pth"), bucket.s3) == copy
        assert copy.read_bytes() == b"marked!"

    def test_a_changed_object_is_copied_again(self, bucket: Location) -> None:
        bucket.create("net.pth", b"weights")
        old = local_copy(bucket.uri("net.pth"), bucket.s3)
        bucket.delete("net.pth")
        bucket.create("net.pth", b"other weights")
        new = local_copy(bucket.uri("net.pth"), bucket.s3)
        assert (old.read_bytes(), new.read_bytes()) == (b"weights", b"other weights")

    def test_a_missing_object_is_named(self, bucket: Location) -> None:
        uri = bucket.uri("none.pth")
        with pytest.raises(WeightsError, match=f"there is no object '{uri}'"):
            local_copy(uri, bucket.s3)

    def test_a_large_object_passes_through_a_small_memory(
        self, bucket: Location, s3_server: S3Server, tmp_path: Path
    ) -> None:
        size = 300 * 2**20
        client = boto3.client("s3", endpoint_url=s3_server.endpoint)
        key = bucket.uri("large.bin").removeprefix(f"s3://{s3_server.bucket}/")
        part = os.urandom(2**20)
        client.put_object(Bucket=s3_server.bucket, Key=key, Body=part * 300)
        done = subprocess.run(
            [sys.executable, "-c", COPYING, bucket.uri("large.bin"), s3_server.endpoint],
            capture_output=True,
            text=True,
            check=True,
        )
        client.delete_object(Bucket=s3_server.bucket, Key=key)
        copy, grown = done.stdout.split()
        assert Path(copy).stat().st_size == size
        expected = hashlib.sha256()
        for _ in range(300):
            expected.update(part)
        assert content_hash(Path(copy)) == expected.hexdigest()
        assert int(grown) < 120 * 2**20
        Path(copy).unlink()

    def test_a_full_disk_is_told_and_keeps_no_draft(
        self, bucket: Location, cache: Path, mounted: Callable[..., Path]
    ) -> None:
        mounted(cache, "-t", "tmpfs", "-o", "size=64k", "tmpfs")
        bucket.create("net.pth", bytes(200_000))
        with pytest.raises(StorageError, match=r"net\.pth: the disk is full; .*WSLABEL_CACHE"):
            local_copy(bucket.uri("net.pth"), bucket.s3)
        assert [path for path in cache.rglob("*") if path.is_file()] == []

    def test_a_copy_outlasts_a_loss_of_power(
        self, bucket: Location, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        synced: list[str] = []
        fsync = os.fsync

        def noting(descriptor: int) -> None:
            synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
            fsync(descriptor)

        monkeypatch.setattr(os, "fsync", noting)
        bucket.create("net.pth", b"weights")
        copy = local_copy(bucket.uri("net.pth"), bucket.s3)
        draft, folder = synced
        assert Path(draft).parent == Path(folder) == copy.parent  # the bytes, then the name


class TestMemory:
    def test_what_was_never_kept_is_none(self) -> None:
        assert remembered("speed") is None

    def test_what_was_kept_is_known(self) -> None:
        remember("speed", "fäst")
        assert remembered("speed") == "fäst"
        assert remembered("other") is None

    def test_the_last_word_counts(self) -> None:
        remember("speed", "slow")
        remember("speed", "fast")
        assert remembered("speed") == "fast"

    def test_it_is_kept_in_the_users_folder_by_default(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("WSLABEL_CACHE")
        assert cache_folder() == Path.home() / ".cache" / "wslabel"


class TestCacheFolder:
    def test_it_is_ours_alone(self, cache: Path) -> None:
        remember("key", "value")
        assert cache.stat().st_mode & 0o777 == 0o700

    def test_one_that_is_there_becomes_ours_alone(self, cache: Path) -> None:
        cache.mkdir(mode=0o777)
        cache.chmod(0o777)
        remember("key", "value")
        assert cache.stat().st_mode & 0o777 == 0o700

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a folder to somebody else")
    def test_one_that_others_may_write_to_is_refused(self, cache: Path) -> None:
        """Whoever writes there says what the hash of a file is."""
        cache.mkdir()
        os.chown(cache, 12345, 12345)
        assert remembered("key") is None
        cache.chmod(0o777)
        with pytest.raises(StorageError, match=r"cache: another user may write .*WSLABEL_CACHE"):
            remembered("key")

    def test_a_fact_that_is_none_is_forgotten(self, cache: Path) -> None:
        remember("key", "value")
        (cache / "facts" / "key").write_text("[1, 2]")
        assert remembered("key") is None
