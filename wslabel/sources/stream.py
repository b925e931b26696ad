"""A file that the project names, on disk, S3, the web or another cloud, as a stream."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import fsspec
import pyarrow as pa
from fsspec.asyn import get_loop, sync

from wslabel.config.base import S3
from wslabel.config.paths import scheme_of, unreadable
from wslabel.errors import StorageError, TransientStorageError
from wslabel.sources.allowed import Allowed
from wslabel.sources.fetch import as_os_error
from wslabel.storage.failures import reason_of, retrying
from wslabel.storage.s3 import s3_reader
from wslabel.uri import shown


def open_stream(uri: str, s3: S3) -> pa.NativeFile:
    """Open a file on disk, S3 or the web for reading from its start on; `.gz` is unpacked.

    The uri is one of the project file, so its server may have any address.

    Raises:
        OSError: it is not there or may not be read.
    """
    scheme = scheme_of(uri)
    if scheme is not None and (reason := unreadable(scheme)):
        raise StorageError(f"{uri}: {reason}")
    if scheme is None:
        stream: pa.NativeFile = pa.OSFile(uri)
    elif scheme == "s3":
        stream = retrying(lambda: _s3_stream(uri, s3), shown(uri))
    elif scheme in ("http", "https"):
        stream = pa.PythonFile(retrying(lambda: _WebStream(uri), shown(uri)), "r")
    else:
        stream = pa.PythonFile(fsspec.get_filesystem_class(scheme)().open(uri), "r")
    is_packed = shown(uri).partition("?")[0].endswith(".gz")
    return pa.CompressedInputStream(stream, "gzip") if is_packed else stream


def _s3_stream(uri: str, s3: S3) -> pa.NativeFile:
    try:
        return s3_reader(s3).open_input_stream(uri.removeprefix("s3://"), compression=None)
    except pa.ArrowInvalid:
        raise FileNotFoundError(f"{shown(uri)}: this can be no object") from None


class _WebStream:
    """An answer of the web as a file that is read from its start on."""

    def __init__(self, uri: str) -> None:
        from wslabel.sources.web import Web  # noqa: PLC0415 - loads aiohttp

        self.closed = False
        self._uri, self._stack = uri, AsyncExitStack()
        asking = Web(Allowed((uri,))).ask(uri, {})
        self._answer = self._synced(self._stack.enter_async_context, asking)

    def _synced(self, function: Callable[..., Any], *args: object) -> Any:
        try:
            return sync(get_loop(), function, *args)
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001 - given another type and raised
            raise as_os_error(self._uri, error) from None

    def read(self, num_bytes: int = -1) -> bytes:
        try:
            data: bytes = self._synced(self._answer.content.read, num_bytes)
        except OSError as error:  # to begin anew is for whoever reads it
            raise TransientStorageError(f"{self._uri}: {reason_of(error)}") from None
        return data

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self._synced(self._stack.aclose)
