"""A uri to bytes: from disk, S3, the web, or another cloud's store; the door to s3fs and fsspec.

An image on S3 is one request, as s3fs reads it; pyarrow's file asks for its size first. Nothing is
read before its size is known to be allowed, and there is room for it, where somebody says it.
"""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import Future
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import fsspec
from fsspec.asyn import get_loop, sync

from wslabel.config.base import S3
from wslabel.config.engine import MAX_IMAGE_BYTES
from wslabel.config.paths import SCHEMES, scheme_of, unreadable
from wslabel.engine.room import Place, Room
from wslabel.errors import StorageError, WslabelError
from wslabel.screen import LOG
from wslabel.sources.allowed import ALLOW, ANYWHERE, PART, Allowed, Refused
from wslabel.sources.opened import opened, read, real_path
from wslabel.storage.failures import reason_of, retrying
from wslabel.storage.s3 import (
    CONNECT_S,
    READ_S,
    SDK_ATTEMPTS,
    endpoint_of,
    region_of,
    unanswered,
)
from wslabel.uri import shown

if TYPE_CHECKING:
    import s3fs

    from wslabel.sources.web import Web

CONNECTIONS = 256
"""Requests to S3 at a time; threads ask for fewer, and more wait in s3fs."""

WHOLE_S = 300.0
"""How long an answer from the web may take in all, however it trickles."""

PASSING = re.compile("Timeout|Connect|Transport|Payload|Incomplete|ServiceRe|ClientResponse")
"""Names of what clouds' libraries raise where nobody answered properly; what else they raise, they
will raise again."""

CHUNK = 2**20
"""Bytes read at a time of an answer."""


def part_of(uri: str, offset: int, size: int) -> str:
    """Spell a range of an object, as in an HTTP range: the first byte and the last.

    >>> part_of("s3://bucket/images.tar", 512, 100)
    's3://bucket/images.tar#bytes=512-611'
    """
    return f"{uri}#bytes={offset}-{offset + size - 1}"


def _whole_and_part(uri: str) -> tuple[str, int | None, int | None]:
    """Take a uri apart into the object's, and where its range starts and ends."""
    part = PART.search(uri)
    if part is None:
        return uri, None, None
    return uri[: part.start()], int(part[1]), int(part[2]) + 1


class Unfetchable(WslabelError):
    """An image that can never be fetched.

    Attributes:
        kind: One of schema.ERROR_KINDS.
        reason: Why, where there is more to say.
    """

    def __init__(self, kind: str, detail: str, reason: str = "") -> None:
        super().__init__(f"{kind}: {detail}{': ' if reason else ''}{reason}")
        self.kind, self.reason = kind, reason


@dataclass(frozen=True)
class _Wanted:
    """What is asked for.

    Attributes:
        uri: Uri of the object.
        first: First byte.
        end: Byte after the last one; None for all that there are.
        max_bytes: Most bytes that an image may have.
        place: Where there must be room for them before they are read.
    """

    uri: str
    first: int
    end: int | None
    max_bytes: int
    place: Place

    def end_in(self, size: int) -> int:
        """Give the byte after the last one, of an object of some size."""
        end = size if self.end is None else self.end
        if not self.first <= end <= size:
            raise FileNotFoundError(f"{self.uri}: has {size} bytes, not {self.first} to {end}")
        return end

    def refuse_large(self, num_bytes: int) -> None:
        """Refuse an image of more bytes than are allowed."""
        if num_bytes > self.max_bytes:
            raise Unfetchable("too_large", shown(self.uri), f"{num_bytes:,} bytes or more")

    def room(self, num_bytes: int) -> Future[None]:
        """Ask for room, see `Place.reserve`; an image that is too large gets none."""
        self.refuse_large(num_bytes)
        return self.place.reserve(num_bytes)


class Fetcher:
    """Fetches objects, or the ranges of them that uris name; safe to share between threads."""

    def __init__(
        self, s3: S3, allowed: Allowed = ANYWHERE, max_bytes: int = MAX_IMAGE_BYTES
    ) -> None:
        """Connect when the first uri comes.

        Args:
            s3: How to reach S3.
            allowed: Where images may be fetched from.
            max_bytes: Most bytes of an image.
        """
        self._s3, self._allowed, self._max_bytes = s3, allowed, max_bytes

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

    @cached_property
    def _web(self) -> "Web":
        from wslabel.sources.web import Web  # noqa: PLC0415 - loads aiohttp

        return Web(self._allowed)

    def __call__(
        self,
        uri: str,
        patience_s: Callable[[OSError], float] | None = None,
        place: Place | None = None,
    ) -> bytes:
        """Fetch one object.

        Args:
            uri: Where it is.
            patience_s: How long it is tried in all, given how the last try failed; see `retrying`.
            place: Where there must be room for its bytes before they are read; None for anywhere.

        Raises:
            Unfetchable: it is missing, too large, or may not be read.
            TransientStorageError: storage failed again and again.
            StorageError: nothing can be fetched from here; it says what is to be done.
        """
        what, place = shown(uri), place or Room().at(0)
        try:
            return retrying(lambda: self._fetch(uri, place), what, patience_s=patience_s)
        except StorageError:
            raise
        except MemoryError:
            raise Unfetchable("too_large", what, "more than the memory holds") from None
        except OSError as error:
            reason = reason_of(error) if isinstance(error, Refused) else ""
            raise Unfetchable("denied" if _is_denied(error) else "missing", what, reason) from None

    def _fetch(self, uri: str, place: Place) -> bytes:
        place.give_back()  # what another try had
        uri, start, end = _whole_and_part(uri)
        wanted = _Wanted(uri, start or 0, end, self._max_bytes, place)
        scheme = scheme_of(uri)
        if scheme is not None and (reason := unreadable(scheme)):
            if scheme in SCHEMES:  # a package is absent
                raise StorageError(f"{shown(uri)}: {reason}")
            raise Refused(reason)
        if scheme is None:
            return _from_disk(wanted, self._allowed)
        if not self._allowed.permits(uri):
            raise Refused(f"it does not lie below what {ALLOW} names")
        return self._from_afar(scheme, wanted)

    def _from_afar(self, scheme: str, wanted: _Wanted) -> bytes:
        if wanted.end == wanted.first:  # no range can say this
            return b""
        try:
            if scheme == "s3":
                data: bytes = sync(self._objects.loop, self._from_s3, wanted)
            elif scheme in ("http", "https"):
                data = sync(get_loop(), self._from_web, wanted)
            else:
                data = _from_cloud(scheme, wanted)
        except (OSError, WslabelError, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001 - given another type and raised
            raise as_os_error(wanted.uri, error) from None
        if wanted.end is not None and len(data) != wanted.end - wanted.first:
            raise FileNotFoundError(f"{wanted.uri}: does not have the bytes up to {wanted.end}")
        return data

    async def _from_s3(self, wanted: _Wanted) -> bytes:
        bucket, key, _ = self._objects.split_path(wanted.uri)
        if not bucket or not key or key.endswith("/"):  # a bucket, or a folder
            raise FileNotFoundError(wanted.uri)
        last = wanted.first + wanted.max_bytes if wanted.end is None else wanted.end - 1
        asked = {"Bucket": bucket, "Key": key, "Range": f"bytes={wanted.first}-{last}"}
        try:
            answer = await self._objects._call_s3("get_object", **asked)
        except OSError as error:
            if not _is_beyond_end(error):
                raise
            return b""  # nothing lies where the range begins: the object is empty, or ends before
        part = answer.get("ContentRange")
        with closing(answer["Body"]) as body:
            whole = (part or "").rpartition("/")[2]  # of "bytes 0-9/10"
            if wanted.end is None and whole.isdecimal():
                wanted.refuse_large(int(whole))
            await _granted(wanted.room(answer["ContentLength"]))
            data: bytes = await body.read()
        return data[wanted.first : wanted.end] if part is None else data

    async def _from_web(self, wanted: _Wanted) -> bytes:
        headers = {}
        if wanted.end is not None:
            headers["Range"] = f"bytes={wanted.first}-{wanted.end - 1}"
        async with AsyncExitStack() as stack:
            async with asyncio.timeout(WHOLE_S):
                answer = await stack.enter_async_context(self._web.ask(wanted.uri, headers))
            packed = answer.headers.get("Content-Encoding", "identity")
            if packed.lower() != "identity":
                raise Unfetchable("not_an_image", shown(wanted.uri), f"packed: {packed[:20]}")
            size = answer.content_length if wanted.end is None else wanted.end - wanted.first
            if size is not None:
                await _granted(wanted.room(size))
            # A server may know nothing of ranges and send all.
            skipped = 0 if answer.status == 206 else wanted.first
            chunks = answer.content.iter_chunked(CHUNK)
            async with asyncio.timeout(WHOLE_S):
                return await _body(chunks, wanted, skipped, size)


async def _granted(room: Future[None]) -> None:
    if room.done():
        room.result()
    else:
        await asyncio.wrap_future(room)


async def _body(
    chunks: AsyncIterator[bytes], wanted: _Wanted, skipped: int, size: int | None
) -> bytes:
    """Read a body, all but its beginning; where its size is not known, while it is not too long."""
    kept: list[bytes] = []
    num_bytes = 0
    async for chunk in chunks:
        part, skipped = chunk[skipped:], max(0, skipped - len(chunk))
        if size is not None:
            part = part[: size - num_bytes]
        kept.append(part)
        num_bytes += len(part)
        wanted.refuse_large(num_bytes)
        if size is None:
            await _granted(wanted.room(len(part)))
        elif num_bytes == size and wanted.end is not None:
            break
    return b"".join(kept)


def _from_disk(wanted: _Wanted, allowed: Allowed) -> bytes:
    if "\0" in wanted.uri:  # the system's calls take no such path
        raise FileNotFoundError(wanted.uri)
    with opened(wanted.uri) as file:
        if reason := allowed.refusal(wanted.uri, real_path(file, wanted.uri)):
            raise Refused(reason)
        num_bytes = wanted.end_in(os.fstat(file).st_size) - wanted.first
        wanted.room(num_bytes).result()
        return read(file, num_bytes, wanted.first)


def _from_cloud(scheme: str, wanted: _Wanted) -> bytes:
    # Made without the uri, which may name an account for it to send our credentials to.
    system = fsspec.get_filesystem_class(scheme)(use_listings_cache=False)
    end = wanted.end_in(system.info(wanted.uri)["size"])
    wanted.room(end - wanted.first).result()
    data: bytes = system.cat_file(wanted.uri, start=wanted.first, end=end)
    return data


def _is_beyond_end(error: OSError) -> bool:
    """Tell whether S3 says so of a range; s3fs gives many errors one number and keeps the cause."""
    response: Mapping[str, Any] = getattr(error.__cause__, "response", {})
    return response.get("Error", {}).get("Code") in ("InvalidRange", "416")


def as_os_error(uri: str, error: Exception) -> OSError:
    """Turn errors that are no OSErrors into such: ones that another try may mend, or not."""
    what = shown(uri)
    if isinstance(error, ImportError):
        return StorageError(f"{what}: {error}")
    told = f"{type(error).__name__}: {reason_of(error).replace(uri, what)}"
    known = unanswered(error, what)
    if known is not None:
        return known
    if any(PASSING.search(kind.__name__) for kind in type(error).__mro__):
        return OSError(told)
    LOG.warning("%s: %s", what, told)
    return FileNotFoundError(f"{what}: {told}")


def _is_denied(error: OSError) -> bool:
    return isinstance(error, PermissionError) or "ACCESS_DENIED" in str(error)
