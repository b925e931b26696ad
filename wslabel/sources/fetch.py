"""A uri to bytes: from disk, S3, or whatever else fsspec can open; the door to s3fs.

An image on S3 is one request, as s3fs reads it; pyarrow's file asks for its size first.
"""

import email.utils
import ftplib
import re
import stat
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fsspec
import pyarrow as pa
from fsspec.asyn import sync

from wslabel.config.base import S3
from wslabel.errors import StorageError, WslabelError, nearest
from wslabel.storage.failures import reason_of, retrying
from wslabel.storage.s3 import (
    CONNECT_S,
    READ_S,
    SDK_ATTEMPTS,
    endpoint_of,
    region_of,
    s3_reader,
    unanswered,
)
from wslabel.storage.uri import shown

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
    is_packed = shown(uri).partition("?")[0].endswith(".gz")
    return pa.CompressedInputStream(stream, "gzip") if is_packed else stream


def _opened(uri: str) -> Any:
    try:
        return fsspec.open(uri).open()
    except Exception as error:  # noqa: BLE001 - given another type and raised
        raise _as_os_error(uri, error) from None


MAX_BYTES = 2**29
"""Most bytes of one image; what has more is no photo, and several would fill the memory."""

CONNECTIONS = 256
"""Requests to S3 at a time; threads ask for fewer, and more wait in s3fs."""

WHOLE_S = 300.0
"""How long an answer from the web may take in all, however it trickles."""

DENIED = frozenset({401, 402, 403, 407, 451})
BUSY = frozenset({408, 425, 429})
"""HTTP statuses by which a server refuses an image, and those below 500 that another try mends."""

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


class Busy(OSError):
    """A server that answered, and may answer better later.

    Attributes:
        retry_after_s: How long it asks to be left alone.
    """

    def __init__(self, text: str, retry_after_s: float = 0.0) -> None:
        super().__init__(text)
        self.retry_after_s = retry_after_s


class Fetcher:
    """Fetches objects, or the ranges of them that uris name; safe to share between threads."""

    def __init__(self, s3: S3) -> None:
        """Connect when the first S3 uri comes."""
        self._s3 = s3

    @cached_property
    def _objects(self) -> "s3fs.S3FileSystem":
        import s3fs  # noqa: PLC0415 - takes a while to load, and most runs read no S3

        system = s3fs.S3FileSystem(
            anon=self._s3.anonymous,
            endpoint_url=endpoint_of(self._s3),
            client_kwargs={"region_name": region_of(self._s3) or "us-east-1"},
            config_kwargs={
                "max_pool_connections": CONNECTIONS,
                "connect_timeout": CONNECT_S,
                "read_timeout": READ_S,
                "retries": {"total_max_attempts": SDK_ATTEMPTS, "mode": "standard"},
            },
            skip_instance_cache=True,
            use_listings_cache=False,
        )
        system.retries = 1  # ours are patient enough
        return system

    def __call__(self, uri: str, patience_s: Callable[[OSError], float] | None = None) -> bytes:
        """Fetch one object.

        Args:
            uri: Where it is.
            patience_s: How long it is tried in all, given how the last try failed; see `retrying`.

        Raises:
            Unfetchable: it is missing or may not be read.
            TransientStorageError: storage failed again and again.
            StorageError: nothing can be fetched from here; it says what is to be done.
        """
        try:
            return retrying(lambda: self._fetch(uri), shown(uri), patience_s=patience_s)
        except StorageError:
            raise
        except OSError as error:
            raise Unfetchable("denied" if _is_denied(error) else "missing", shown(uri)) from None

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
        except Exception as error:  # noqa: BLE001 - given another type and raised
            raise _as_os_error(uri, error) from None
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
    import aiohttp  # noqa: PLC0415 - loaded already, by whoever asks the web

    limits = aiohttp.ClientTimeout(total=WHOLE_S, sock_connect=CONNECT_S, sock_read=READ_S)
    how = {"timeout": limits} | system.kwargs
    async with session.get(system.encode_url(uri), headers=headers, **how) as answer:
        answer.raise_for_status()
        async for part in answer.content.iter_chunked(2**20):
            data += part
            if len(data) > MAX_BYTES:
                break
        # A server may know nothing of ranges and send all.
        return data if answer.status == 206 else data[start:end]


def _as_os_error(uri: str, error: Exception) -> OSError:
    """Turn errors that are no OSErrors into such, without the uri's signature in their texts."""
    what = shown(uri)
    if isinstance(error, OSError):
        return error
    headers = getattr(error, "headers", None)
    if headers is not None:  # aiohttp's, of an answer; of one that is no HTTP there are none
        return _of_status(what, getattr(error, "status", 0), headers)
    if type(error).__name__ == "TooManyRedirects":
        return FileNotFoundError(f"{what}: redirects lead nowhere")
    if isinstance(error, ImportError):
        return StorageError(f"{what}: {error}")
    if isinstance(error, (ValueError, ftplib.error_perm)):  # a uri that is none, or FTP's 5xx
        return FileNotFoundError(f"{what}: {type(error).__name__}")
    told = reason_of(error).replace(uri, what)
    return unanswered(error, what) or OSError(f"{type(error).__name__}: {told}")


def _of_status(what: str, status: int, headers: Mapping[str, str]) -> OSError:
    """Turn an HTTP status into an error: for ever missing or denied, or busy for now."""
    text = f"{what}: HTTP {status}"
    if status in BUSY or status >= 500:
        return Busy(f"HTTP {status}", _retry_after_s(headers.get("Retry-After", "")))
    return (PermissionError if status in DENIED else FileNotFoundError)(text)


def _retry_after_s(text: str) -> float:
    """Read the header Retry-After: seconds, or a date.

    >>> _retry_after_s("120"), _retry_after_s("Wed, 21 Oct 2015 07:28:00 GMT"), _retry_after_s("x")
    (120.0, 0.0, 0.0)
    """
    if text.strip().isdecimal():
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError):
        return 0.0


def _is_denied(error: OSError) -> bool:
    return isinstance(error, PermissionError) or "ACCESS_DENIED" in str(error)
