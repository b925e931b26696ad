"""A uri to bytes: from disk, S3, or whatever else fsspec can open; the door to s3fs.

An image on S3 is one request, as s3fs reads it; pyarrow's file asks for its size first.
"""

import re
import stat
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fsspec
import pyarrow as pa
from fsspec.asyn import sync

from wslabel.config.base import S3
from wslabel.errors import WslabelError, nearest
from wslabel.storage.failures import is_permanent, retrying
from wslabel.storage.location import endpoint_of, region_of, s3_reader

if TYPE_CHECKING:
    import s3fs


def unreadable(scheme: str) -> str | None:
    """Say why uris of a scheme cannot be fetched here, None if they can."""
    if scheme == "s3":
        return None
    try:
        if not scheme:
            raise ValueError("no scheme")
        fsspec.get_filesystem_class(scheme)
    except ValueError:
        return f"unknown scheme; {nearest(scheme, fsspec.available_protocols())}"
    except ImportError as error:
        return str(error)
    return None


def open_stream(uri: str, s3: S3) -> pa.NativeFile:
    """Open a file on disk, S3 or the web for reading from its start on; `.gz` is unpacked.

    Raises:
        OSError: it is not there or may not be read.
    """
    if "://" in uri and not uri.startswith("s3://"):
        stream = pa.PythonFile(_opened(uri), "r")
    elif uri.startswith("s3://"):
        stream = retrying(lambda: s3_reader(s3).open_input_stream(uri[5:], compression=None), uri)
    else:
        stream = pa.OSFile(uri)
    return pa.CompressedInputStream(stream, "gzip") if uri.endswith(".gz") else stream


def _opened(uri: str) -> Any:
    try:
        return fsspec.open(uri).open()
    except Exception as error:  # noqa: BLE001 - given another type and raised
        raise _as_os_error(uri, error) from None


MAX_BYTES = 2**29
"""Most bytes of one image; what has more is no photo, and several would fill the memory."""

CONNECTIONS = 256
"""Requests to S3 at a time; threads ask for fewer, and more wait in s3fs."""

_PART = re.compile(r"#bytes=(\d+)-(\d+)$")


def part_of(uri: str, offset: int, size: int) -> str:
    """Spell a range of an object, as in an HTTP range: the first byte and the last.

    >>> part_of("s3://bucket/images.tar", 512, 100)
    's3://bucket/images.tar#bytes=512-611'
    """
    return f"{uri}#bytes={offset}-{offset + size - 1}"


def _whole_and_part(uri: str) -> tuple[str, int | None, int | None]:
    """Take a uri apart into the object's, and where its range starts and ends."""
    part = _PART.search(uri)
    if part is None:
        return uri, None, None
    return uri[: part.start()], int(part[1]), int(part[2]) + 1


class Unfetchable(WslabelError):
    """An image that can never be fetched.

    Attributes:
        kind: One of schema.ERROR_KINDS.
    """

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind


class Fetcher:
    """Fetches objects, or the ranges of them that uris name; safe to share between threads."""

    def __init__(self, s3: S3) -> None:
        """Connect when the first S3 uri comes."""
        self._s3 = s3

    @cached_property
    def _objects(self) -> "s3fs.S3FileSystem":
        import s3fs  # noqa: PLC0415 - takes a while to load, and most runs read no S3

        return s3fs.S3FileSystem(
            anon=self._s3.anonymous,
            endpoint_url=endpoint_of(self._s3),
            client_kwargs={"region_name": region_of(self._s3) or "us-east-1"},
            config_kwargs={"max_pool_connections": CONNECTIONS},
            skip_instance_cache=True,
            use_listings_cache=False,
        )

    def __call__(self, uri: str) -> bytes:
        """Fetch one object.

        Raises:
            Unfetchable: it is missing or may not be read.
            TransientStorageError: storage failed again and again.
        """
        try:
            return retrying(lambda: self._fetch(uri), uri)
        except OSError as error:
            if not is_permanent(error):
                raise
            kind = "denied" if _is_denied(error) else "missing"
            raise Unfetchable(kind, uri) from None

    def _fetch(self, uri: str) -> bytes:
        uri, start, end = _whole_and_part(uri)
        uri = uri.removeprefix("file://").removeprefix("local://")
        if "://" in uri and not uri.startswith("s3://"):
            return _from_web(uri, start, end)
        if "\0" in uri:  # the system's calls take no such path
            raise FileNotFoundError(uri)
        if uri.startswith("s3://"):
            return self._from_s3(uri, start, end)
        return _from_disk(uri, start, end)

    def _from_s3(self, uri: str, start: int | None, end: int | None) -> bytes:
        key = uri.removeprefix("s3://")
        if "/" not in key.rstrip("/") or key.endswith("/"):  # a bucket, or a folder
            raise FileNotFoundError(uri)
        first = start or 0
        last = first + MAX_BYTES + 1 if end is None else end
        _refuse_large(uri, 0 if end is None else last - first)
        try:
            data: bytes = self._objects.cat_file(key, start=first, end=last)
        except OSError as error:
            if not _is_beyond_end(error):
                raise
            data = b""  # nothing lies where the range begins: the object is empty, or ends before
        return _checked(uri, data, start, end)


def _is_beyond_end(error: OSError) -> bool:
    """Tell whether S3 says so of a range; s3fs gives many errors one number and keeps the cause."""
    response: Mapping[str, Any] = getattr(error.__cause__, "response", {})
    return response.get("Error", {}).get("Code") in ("InvalidRange", "416")


def _from_disk(uri: str, start: int | None, end: int | None) -> bytes:
    if not stat.S_ISREG(Path(uri).stat().st_mode):  # a pipe or a device may never end
        raise FileNotFoundError(f"{uri}: is no file")
    with pa.OSFile(uri) as stream:
        size = stream.size()
        first, last = start or 0, size if end is None else end
        if not first <= last <= size:
            raise FileNotFoundError(f"{uri}: has {size} bytes, not {first} to {last}")
        _refuse_large(uri, last - first)
        return bytes(stream.read_at(last - first, first))


def _refuse_large(uri: str, num_bytes: int) -> None:
    if num_bytes > MAX_BYTES:
        raise Unfetchable("too_large", f"{uri}: {num_bytes:,} bytes")


def _checked(uri: str, data: bytes, start: int | None, end: int | None) -> bytes:
    """See that an answer is neither too long nor shorter than the range that was asked for."""
    if len(data) > MAX_BYTES:
        raise Unfetchable("too_large", f"{uri}: more than {MAX_BYTES:,} bytes")
    if start is not None and end is not None and len(data) != end - start:
        raise FileNotFoundError(f"{uri}: does not have the bytes {start} to {end}")
    return data


def _from_web(uri: str, start: int | None, end: int | None) -> bytes:
    try:
        system = fsspec.open(uri).fs
        if uri.startswith(("http://", "https://")):
            data = bytes(sync(system.loop, _limited, system, uri, start, end))
        else:
            with system.open(uri) as stream:
                stream.seek(start or 0)
                limit = MAX_BYTES + 1
                data = bytes(stream.read(limit if end is None else min(limit, end - (start or 0))))
    except Exception as error:  # noqa: BLE001 - given another type and raised
        raise _as_os_error(uri, error) from None
    return _checked(uri, data, start, end)


async def _limited(system: Any, uri: str, start: int | None, end: int | None) -> bytearray:
    """Read an answer while it is not too long; nobody says beforehand how long it will be."""
    session = await system.set_session()
    is_part = start is not None and end is not None and end > start
    headers = {"Range": f"bytes={start}-{(end or 0) - 1}"} if is_part else {}
    data = bytearray()
    async with session.get(system.encode_url(uri), headers=headers, **system.kwargs) as answer:
        answer.raise_for_status()
        async for part in answer.content.iter_chunked(2**20):
            data += part
            if len(data) > MAX_BYTES:
                break
        # A server may know nothing of ranges and send all.
        return data if answer.status == 206 else data[start:end]


def _as_os_error(uri: str, error: Exception) -> Exception:
    """Turn aiohttp's errors, which are no OSErrors: those of an answer by its HTTP status."""
    if isinstance(error, OSError):
        return error
    status = getattr(error, "status", None)
    if status in (401, 403):
        return PermissionError(f"{uri}: HTTP {status}")
    if status in (404, 410):
        return FileNotFoundError(f"{uri}: HTTP {status}")
    if isinstance(error, ValueError):  # a uri that is none
        return FileNotFoundError(f"{uri}: {error}")
    if status is not None or type(error).__module__.startswith("aiohttp"):
        what = type(error).__name__ if status is None else f"HTTP {status}"
        return OSError(f"{uri}: {what}")
    return error


def _is_denied(error: OSError) -> bool:
    return isinstance(error, PermissionError) or "ACCESS_DENIED" in str(error)
