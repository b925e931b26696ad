"""One root, a local folder or `s3://bucket/prefix`: read, list, and create files that appear whole.

Reading and listing go through pyarrow's filesystems. Creating goes through a hard link on disk, and
on S3 through one conditional PutObject or, of large files, the conditional end of an upload in
parts; so a file appears complete or not at all and is never rewritten.
pyarrow's S3 stream is not used for writing: it has no "only if absent", and closing it after an
exception would commit a truncated object.
"""

import errno
import os
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.fs as pafs

from wslabel.config.base import S3
from wslabel.errors import StorageError
from wslabel.failpoints import reach
from wslabel.storage import multipart
from wslabel.storage.failures import REFUSALS, answer_of, reason_of, retrying
from wslabel.storage.s3 import ask, s3_reader, s3_writer
from wslabel.storage.walk import Entry, walk

STAGING = ".staging"
STALE_AFTER_S = 3600.0
NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
PIECE = 2**24
"""Bytes read at a time of a file that is too large for the memory."""
T = TypeVar("T")
Write = Callable[[Any], object]
"""Writes a file to a stream, of which it needs `write` alone."""


class Location:
    """A workspace's root."""

    def __init__(self, root: str, s3: S3 | None = None) -> None:
        """Open a root; nothing is read or written yet."""
        self.root = root.rstrip("/")
        self.s3 = s3 or S3()
        self.is_s3 = root.startswith("s3://")
        self._base = self.root.removeprefix("s3://")
        self.digests: dict[int, str] = {}
        """Digests of the images of each shard, as far as they were looked up from here."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to workers as settings; connections are opened where they are used."""
        return Location, (self.root, self.s3)

    @cached_property
    def _reader(self) -> pafs.FileSystem:
        return s3_reader(self.s3) if self.is_s3 else pafs.LocalFileSystem()

    @cached_property
    def _writer(self) -> Any:
        return s3_writer(self.s3)

    def _full(self, path: str) -> str:
        if _leads_out(path):
            raise StorageError(f"{self.root}: {path!r} is no path below it")
        return f"{self._base}/{path}" if path else self._base

    def uri(self, path: str) -> str:
        """Spell a file's full address."""
        return f"{self.root}/{path}"

    def read(self, path: str) -> pa.Buffer:
        """Read a whole file.

        Raises:
            FileNotFoundError: there is no such file.
        """

        def attempt() -> pa.Buffer:
            reach("read", path)
            if not self.is_s3:
                return pa.memory_map(self._full(path)).read_buffer()
            with self._reader.open_input_file(self._full(path)) as stream:
                data = stream.read_buffer()
                if len(data) != stream.size():  # the connection ended early
                    raise OSError(f"{len(data):,} of {stream.size():,} bytes came")
                return data

        return retrying(attempt, self.uri(path))

    def open(self, path: str) -> pa.NativeFile:
        """Open a file for reading parts of it."""

        def attempt() -> pa.NativeFile:
            reach("read", path)
            return self._reader.open_input_file(self._full(path))

        return retrying(attempt, self.uri(path))

    def read_parts(self, path: str, read: Callable[[pa.NativeFile], T]) -> T:
        """Open a file and read parts of it, all of them again where the connection breaks."""

        def attempt() -> T:
            reach("read", path)
            with self._reader.open_input_file(self._full(path)) as stream:
                return read(stream)

        return retrying(attempt, self.uri(path))

    def pieces(self, path: str) -> Iterator[bytes]:
        """Read a whole file piece by piece, for files that are too large for the memory."""
        with self.open(path) as stream:
            size = stream.size()
            for start in range(0, size, PIECE):
                read = partial(_read_at, stream, start, min(PIECE, size - start))
                yield retrying(read, self.uri(path))

    def files(
        self,
        folder: str,
        *,
        recursive: bool = False,
        follow_links: bool = False,
        left_out: Counter[str] | None = None,
    ) -> list[Entry]:
        """List the files of a folder, sorted by path; a folder that is not there is empty.

        Args:
            folder: The folder, below the root.
            recursive: Whether those of the folders in it are listed too.
            follow_links: Whether symbolic links on disk are followed that lead out of it; see
                `walk`.
            left_out: Counts what `walk` leaves out, by the reason.
        """
        if recursive and not self.is_s3:
            counts: Counter[str] = Counter() if left_out is None else left_out
            return self._walked(folder, counts, follow_links=follow_links)
        base = self._full(folder)
        selector = pafs.FileSelector(base, recursive=recursive, allow_not_found=True)

        def attempt() -> list[pafs.FileInfo]:
            reach("list", folder)
            found: list[pafs.FileInfo] = self._reader.get_file_info(selector)
            return found

        infos = retrying(attempt, self.uri(folder))
        prefix = len(base) + 1
        return sorted(
            (
                Entry(info.path[prefix:], info.size, info.mtime_ns or 0)
                for info in infos
                if info.type == pafs.FileType.File
            ),
            key=lambda entry: entry.path,
        )

    def _walked(self, folder: str, left_out: Counter[str], *, follow_links: bool) -> list[Entry]:
        def attempt() -> tuple[list[Entry], Counter[str]]:
            reach("list", folder)
            counts: Counter[str] = Counter()
            return walk(self._full(folder) or "/", counts, follow_links=follow_links), counts

        found, counts = retrying(attempt, self.uri(folder))
        left_out.update(counts)
        return found

    def entry(self, path: str) -> Entry | None:
        """Look a file up without reading it, None where there is none."""

        def attempt() -> pafs.FileInfo:
            reach("look up", path)
            return self._reader.get_file_info(self._full(path))

        info = retrying(attempt, self.uri(path))
        is_file = info.type == pafs.FileType.File
        return Entry(path, info.size, info.mtime_ns or 0) if is_file else None

    def exists(self, path: str) -> bool:
        """Tell whether a file is there."""
        return self.entry(path) is not None

    def create(self, path: str, data: pa.Buffer | bytes) -> bool:
        """Make a file appear whole, unless it is there already.

        Returns:
            False where another writer was first; its file stays.

        Raises:
            StorageError: The place takes no files; it says what is to be done.
        """
        whole = memoryview(data)
        if whole.nbytes > multipart.PART_BYTES:
            return self.create_by(path, lambda stream: stream.write(whole))
        create = self._create_s3 if self.is_s3 else self._create_local
        with self._advising(path):
            made = retrying(lambda: create(path, whole), self.uri(path))
        reach("after create", path)
        return made

    def create_by(self, path: str, write: Write) -> bool:
        """Make a file of any size appear whole, unless it is there already.

        Args:
            path: Its path.
            write: Writes it to a stream; is called again where it has to be written anew.

        Returns:
            False where another writer was first; its file stays.

        Raises:
            StorageError: The place takes no files; it says what is to be done.
        """
        if self.exists(path):  # or all of it would be written in vain
            return False
        with self._advising(path):
            if self.is_s3:
                made = self._upload_s3(path, write)
            else:
                made = retrying(lambda: self._write_local(path, write), self.uri(path))
        reach("after create", path)
        return made

    @contextmanager
    def _advising(self, path: str) -> Iterator[None]:
        try:
            yield
        except StorageError:
            raise
        except OSError as error:
            advice = REFUSALS.get(answer_of(error)[0], "it cannot be written here")
            raise StorageError(f"{self.uri(path)}: {advice} ({reason_of(error)})") from error

    def _upload_s3(self, path: str, write: Write) -> bool:
        """Try each request again by itself: to send all of it again would take too long."""

        def asked(operation: str, **more: Any) -> Any:
            return retrying(lambda: self._ask_s3(operation, path, **more), self.uri(path))

        with multipart.Upload(asked, multipart.PART_BYTES) as upload:
            write(upload)
            reach("before create", path)
            try:
                return upload.finish()
            except OSError:
                if self.exists(path):  # another writer's, or ours: only its answer was lost
                    return False
                raise

    def _create_s3(self, path: str, data: memoryview) -> bool:
        reach("before create", path)
        # A conditional put leaves an object that is there alone.
        return self._put_s3(path, data, IfNoneMatch="*")

    def _put_s3(self, path: str, data: memoryview, **condition: str) -> bool:
        return self._ask_s3("put_object", path, Body=bytes(data), **condition) is not None

    def _ask_s3(self, operation: str, path: str, **more: Any) -> Any:
        """Send a request about an object; None where its condition is not met."""
        return ask(self._writer, operation, self._full(path), **more)

    def _create_local(self, path: str, data: memoryview) -> bool:
        return self._write_local(path, lambda stream: stream.write(data))

    def _write_local(self, path: str, write: Write) -> bool:
        final = Path(self._full(path))
        final.parent.mkdir(parents=True, exist_ok=True)
        with self._draft(write) as draft:
            reach("before create", path)
            return _link(draft, final)

    @contextmanager
    def _draft(self, write: Write) -> Iterator[Path]:
        """Write a file of its own, surely on the disk."""
        staging = Path(self._base, STAGING)
        staging.mkdir(parents=True, exist_ok=True)
        draft = staging / uuid.uuid4().hex
        try:
            with draft.open("wb") as stream:
                write(stream)
                stream.flush()
                os.fsync(stream.fileno())
            yield draft
        finally:
            draft.unlink(missing_ok=True)

    def probe(self) -> None:
        """See that `create` leaves a file alone that is there.

        Raises:
            StorageError: It does not.
        """
        path = f".probe-{uuid.uuid4().hex}"
        try:
            first, second = self.create(path, b"first"), self.create(path, b"second")
            kept = self.read(path).to_pybytes()
        finally:
            self.delete(path)
        if (first, second, kept) != (True, False, b"first"):
            raise StorageError(
                f"{self.root}: this store replaces an object that it was asked to create only if "
                "there is none (PutObject with If-None-Match: *), so two runs at once could mix up "
                "images; take one that honors it, as Amazon S3 does"
            )

    def replace(self, path: str, data: pa.Buffer | bytes) -> None:
        """Put other content in the place of a file, whole; only ever an end of its content."""
        replace = self._put_s3 if self.is_s3 else self._replace_local

        def attempt() -> None:
            reach("before replace", path)
            replace(path, memoryview(data))

        retrying(attempt, self.uri(path))

    def _replace_local(self, path: str, data: memoryview) -> None:
        with self._draft(lambda stream: stream.write(data)) as draft:
            draft.replace(self._full(path))

    def delete(self, path: str) -> None:
        """Remove a file; one that is gone already is no error."""

        def attempt() -> None:
            reach("before delete", path)
            self._reader.delete_file(self._full(path))

        try:
            retrying(attempt, self.uri(path))
        except FileNotFoundError:
            return

    def sweep(self) -> None:
        """Remove drafts that a killed writer left behind, once they are surely nobody's."""
        if self.is_s3:
            return
        limit = time.time() - STALE_AFTER_S
        for draft in Path(self._base, STAGING).glob("*"):
            with suppress(FileNotFoundError):  # its writer has just finished
                if draft.stat().st_mtime < limit:
                    draft.unlink()

    def read_many(self, paths: list[str], read: Callable[[str], T], *, threads: int = 8) -> list[T]:
        """Read several files at once, in the order asked for."""
        if not self.is_s3 or len(paths) < 2:
            return [read(path) for path in paths]
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(read, paths))


def _leads_out(path: str) -> bool:
    r"""Tell whether a path may lead out of its root.

    >>> _leads_out("features/a..b/0.parquet"), _leads_out("a/../../b"), _leads_out("..\\b")
    (False, True, True)
    """
    parts = path.replace("\\", "/").split("/")
    return path.startswith(("/", "\\")) or ".." in parts or "\0" in path


def _read_at(stream: pa.NativeFile, start: int, size: int) -> bytes:
    data: bytes = stream.read_at(size, start)
    if len(data) != size:
        raise OSError(f"{len(data):,} of {size:,} bytes came")  # the connection ended early
    return data


def _link(draft: Path, final: Path) -> bool:
    """Give a finished draft its name; unlike a rename, a link never replaces a file."""
    try:
        os.link(draft, final)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        raise StorageError(
            f"{final}: this file system makes no hard links, by which wslabel gives a whole file "
            f"its name; take another one, or S3 ({reason_of(error)})"
        ) from error
    sync_folder(final.parent)
    return True


def sync_folder(folder: Path) -> None:
    """See that the names in a folder outlast a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a network's folder may have none
            raise
    finally:
        os.close(descriptor)
