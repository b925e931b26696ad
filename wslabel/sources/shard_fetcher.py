"""Fetching the images of one shard: patient with a host that is busy, not with one that is gone.

One image that a server throttles must not cost the work on all others of its shard, and a host
that nobody answers for must not hold the shard up image by image.
"""

import threading
import time
from collections import Counter
from collections.abc import Mapping
from urllib.parse import urlsplit

from wslabel.engine.room import Place
from wslabel.errors import TransientStorageError
from wslabel.sources.fetch import Fetcher, Unfetchable
from wslabel.storage import failures
from wslabel.storage.failures import answer_of

UNREACHABLE = "unreachable"
"""What comes instead of an image that was not reached in this run; a kind of error."""

SILENT_S = 10.0
"""Patience with a host that has answered nothing yet, as one that is gone never will."""

SHARD_S = 300.0
"""From the first image that was not reached on, how long a shard waits for others like it."""

FEW, MANY = 5, 20
"""Images of one host, each after the other unreached, after which none waits, and none is tried."""


class ShardFetcher:
    """Fetches images of one shard; threads share it.

    Attributes:
        reason: Why the image was not reached that was tried last in vain.
        refusal: Why an image was not even asked for; "" where none was refused.
    """

    def __init__(self, fetch: Fetcher, sizes: Mapping[str, int] | None = None) -> None:
        """Know nothing of any host.

        Args:
            fetch: Fetches one image.
            sizes: Bytes that images had when they were ingested, by their uri, as far as known.
        """
        self.reason = self.refusal = ""
        self._fetch, self._sizes = fetch, sizes or {}
        self._lock = threading.Lock()
        self._in_a_row: Counter[str] = Counter()
        self._answered: set[str] = set()
        self._first_failure: float | None = None
        self._is_last_try = False

    def try_again(self) -> None:
        """Give every host a new chance, and every image a single try."""
        self._is_last_try = True
        self._in_a_row.clear()

    def __call__(self, uri: str, place: Place | None = None) -> bytes | str:
        """Fetch an image; give its bytes, or the kind of error that stands for it.

        Args:
            uri: Where it is.
            place: Where there must be room for its bytes; None for anywhere.

        Raises:
            StorageError: Nothing can be fetched from here; it says what is to be done.
        """
        host = _host(uri)
        if self._in_a_row[host] >= MANY:
            return UNREACHABLE
        try:
            fetched: bytes | str = self._fetch(
                uri, lambda error: self._patience_s(host, error), place
            )
        except Unfetchable as error:
            fetched = error.kind
            if error.kind == "denied" and error.reason:
                self.refusal = str(error)
        except TransientStorageError as error:
            self._note_failure(host, str(error))
            return UNREACHABLE
        with self._lock:
            self._in_a_row[host] = 0
            self._answered.add(host)
        # Of an error's kind nothing is known but its name.
        is_changed = isinstance(fetched, bytes) and self._sizes.get(uri) not in (None, len(fetched))
        return "changed" if is_changed else fetched

    def _note_failure(self, host: str, reason: str) -> None:
        with self._lock:
            self._in_a_row[host] += 1
            self.reason = reason
            self._first_failure = self._first_failure or time.monotonic()

    def _patience_s(self, host: str, error: OSError) -> float:
        """Tell how long an image of a host is tried, given how the last try went."""
        with self._lock:
            if _is_answer(error):
                self._answered.add(host)
            if self._is_last_try or self._in_a_row[host] >= FEW:
                return 0.0
            left = SHARD_S
            if self._first_failure is not None:
                left -= time.monotonic() - self._first_failure
            usual = failures.PATIENCE_S if host in self._answered else SILENT_S
            return min(usual, left, failures.PATIENCE_S)


def _is_answer(error: OSError) -> bool:
    """Tell whether somebody answered, if only to say that he is busy."""
    return hasattr(error, "retry_after_s") or answer_of(error)[0] not in ("", "NetworkConnection")


def _host(uri: str) -> str:
    """Name who serves a uri: scheme and host, or bucket; one for all of this machine's disks.

    >>> _host("https://user@host:8/a.jpg"), _host("s3://bucket/a"), _host("/photos/a.jpg")
    ('https://host:8', 's3://bucket', 'disk')
    """
    scheme, mark, rest = uri.partition("://")
    if not mark:
        return "disk"
    return f"{scheme}://{urlsplit(f'//{rest}').netloc.rpartition('@')[2]}"
