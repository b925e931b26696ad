"""Room for bytes: how many may be alive at a time while threads fetch ahead of whoever reads them.

Items are taken in their order, so the first that is not taken yet gets what it asks for at once,
however large it is: nobody waits for room that only a later item could give back.
"""

import sys
import threading
from collections import Counter
from concurrent.futures import Future
from dataclasses import dataclass

from wslabel.errors import WslabelError

AT_ONCE: Future[None] = Future()
"""What nobody waits for."""
AT_ONCE.set_result(None)


class Closed(WslabelError):
    """There is no room any more, as nobody takes what was to be put there."""


class Room:
    """Bytes that may be alive at a time, and one item's more; threads share it."""

    def __init__(self, num_bytes: int = sys.maxsize) -> None:
        """Be empty."""
        self._num_bytes = num_bytes
        self._lock = threading.Lock()
        self._held: Counter[int] = Counter()
        self._waiting: dict[Future[None], tuple[int, int]] = {}
        self._first = 0
        self._is_closed = False

    @property
    def used(self) -> int:
        """Count the bytes that are alive."""
        with self._lock:
            return self._held.total()

    def at(self, rank: int) -> "Place":
        """Give the place of an item: 0 is taken first, then 1, and so on."""
        return Place(self, rank)

    def taken(self, rank: int) -> None:
        """Say that an item was taken, so the next one is first now."""
        with self._lock:
            self._first = rank + 1
            self._admit()

    def empty(self, rank: int) -> None:
        """Say that no bytes of an item, or of one before it, are alive any more."""
        with self._lock:
            for old in [old for old in self._held if old <= rank]:
                del self._held[old]
            self._admit()

    def close(self) -> None:
        """Turn away whoever waits, or ever will: nobody takes any more."""
        with self._lock:
            self._is_closed = True
            waiting, self._waiting = self._waiting, {}
        for future in waiting:
            _turn_away(future)

    def _reserve(self, rank: int, num_bytes: int) -> Future[None]:
        with self._lock:
            if not self._is_closed and self._has_room(rank, num_bytes):
                self._held[rank] += num_bytes
                return AT_ONCE
            future: Future[None] = Future()
            if self._is_closed:
                _turn_away(future)
            else:
                self._waiting[future] = rank, num_bytes
        return future

    def _has_room(self, rank: int, num_bytes: int) -> bool:
        return rank <= self._first or self._held.total() + num_bytes <= self._num_bytes

    def _give_back(self, rank: int) -> None:
        with self._lock:
            self._held.pop(rank, None)
            self._admit()

    def _admit(self) -> None:
        for future, (rank, num_bytes) in sorted(self._waiting.items(), key=lambda item: item[1]):
            if self._has_room(rank, num_bytes):
                del self._waiting[future]
                if future.set_running_or_notify_cancel():
                    self._held[rank] += num_bytes
                    future.set_result(None)


def _turn_away(future: Future[None]) -> None:
    if future.set_running_or_notify_cancel():
        future.set_exception(Closed("nobody takes it any more"))


@dataclass(frozen=True)
class Place:
    """One item's part of a room.

    Attributes:
        room: The room.
        rank: How many items are taken before it.
    """

    room: Room
    rank: int

    def reserve(self, num_bytes: int) -> Future[None]:
        """Ask for room, which is there when the future is done; `Closed` where it never will be.

        A thread waits by `result()`, a coroutine by `asyncio.wrap_future`.
        """
        return self.room._reserve(self.rank, num_bytes)

    def give_back(self) -> None:
        """Give back all that was reserved, as before another try."""
        self.room._give_back(self.rank)
