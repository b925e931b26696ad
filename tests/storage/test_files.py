"""Files that models come from: hashed once, copied once."""

import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.conftest import S3Server
from wslabel.config.base import S3
from wslabel.errors import WeightsError
from wslabel.storage.files import (
    cache_folder,
    content_hash,
    local_copy,
    remember,
    remembered,
)
from wslabel.storage.location import Location


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
