"""A uri to bytes: from disk, S3, or whatever else fsspec can open."""

from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.fs as pafs

from wslabel.errors import WslabelError, nearest
from wslabel.settings import S3
from wslabel.storage.location import is_permanent, retrying, s3_reader


def unreadable(scheme: str) -> str | None:
    """Say why uris of a scheme cannot be fetched here, None if they can."""
    if scheme == "s3":
        return None
    try:
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


class Unfetchable(WslabelError):
    """An image that can never be fetched; `kind` is one of schema.ERROR_KINDS."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind


class Fetcher:
    """Fetches whole objects; safe to share between threads."""

    def __init__(self, s3: S3) -> None:
        """Connect when the first S3 uri comes."""
        self._s3 = s3
        self._reader: pafs.S3FileSystem | None = None

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
        if uri.startswith("s3://"):
            self._reader = self._reader or s3_reader(self._s3)
            with self._reader.open_input_file(uri.removeprefix("s3://")) as stream:
                return bytes(stream.read())
        if "://" in uri:
            return _from_web(uri)
        if "\0" in uri:  # the system's calls take no such path
            raise FileNotFoundError(uri)
        return Path(uri).read_bytes()


def _from_web(uri: str) -> bytes:
    try:
        return bytes(fsspec.open(uri).fs.cat_file(uri))
    except Exception as error:  # noqa: BLE001 - given another type and raised
        raise _as_os_error(uri, error) from None


def _as_os_error(uri: str, error: Exception) -> Exception:
    """Turn aiohttp's error of an answer, which is no OSError, by its HTTP status."""
    status = getattr(error, "status", None)
    if status is None:
        return error
    if status in (401, 403):
        return PermissionError(f"{uri}: HTTP {status}")
    if status in (404, 410):
        return FileNotFoundError(f"{uri}: HTTP {status}")
    return OSError(f"{uri}: HTTP {status}")


def _is_denied(error: OSError) -> bool:
    return isinstance(error, PermissionError) or "ACCESS_DENIED" in str(error)
