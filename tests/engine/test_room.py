"""Room for bytes: never more alive than allowed and one item's, and nobody waits for ever."""

import threading
import time
from concurrent.futures import Future

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wslabel.engine.prefetch import prefetch
from wslabel.engine.room import Closed, Room

SIZES = st.lists(st.lists(st.integers(0, 40), max_size=3), max_size=30)


@given(SIZES, st.integers(1, 60), st.integers(1, 6), st.integers(1, 8), st.integers(1, 4))
@settings(max_examples=150, deadline=None)
def test_threads_hold_no_more_than_there_is_room_for_and_all_end(
    sizes: list[list[int]], num_bytes: int, threads: int, ahead: int, held_at_most: int
) -> None:
    """Items ask piece by piece; whoever takes them holds a few before it lets them go."""
    room, most = Room(num_bytes), 0

    def fetched(rank: int) -> int:
        nonlocal most
        room.at(rank).reserve(7).result(timeout=20)
        room.at(rank).give_back()  # another try
        for piece in sizes[rank]:
            room.at(rank).reserve(piece).result(timeout=20)
            most = max(most, room.used)
        return rank

    taken: list[int] = []
    ranks = prefetch(fetched, range(len(sizes)), threads=threads, ahead=ahead, on_end=room.close)
    for rank in ranks:
        taken.append(rank)
        if rank % held_at_most == 0:
            room.empty(rank)
        room.taken(rank)
    assert taken == list(range(len(sizes)))
    largest = max((sum(pieces) for pieces in sizes), default=0)
    assert most <= num_bytes + max(7, largest) * held_at_most


def test_who_is_first_waits_for_nobody() -> None:
    room = Room(10)
    assert room.at(1).reserve(10).done()
    assert room.at(0).reserve(100).done()
    assert not room.at(2).reserve(1).done()
    assert room.used == 110


def test_who_waits_gets_room_when_it_is_there_and_the_first_before_others() -> None:
    room = Room(10)
    first, *others = [room.at(rank).reserve(8) for rank in (0, 2, 1)]
    assert first.done()
    assert not any(future.done() for future in others)
    room.empty(0)
    room.taken(0)
    assert [future.done() for future in others] == [False, True]
    room.at(1).give_back()
    assert others[0].done()
    assert room.used == 8


def test_who_waits_no_longer_holds_nothing() -> None:
    room = Room(1)
    room.at(0).reserve(1)
    given_up = room.at(1).reserve(1)
    assert given_up.cancel()
    room.empty(0)
    assert room.used == 0


def test_an_error_ends_the_waiting_of_all_others() -> None:
    room, begun = Room(1), threading.Event()
    waiting: list[Future[None]] = []

    def fetched(rank: int) -> None:
        if rank == 0:
            begun.wait(20)
            raise ZeroDivisionError
        waiting.append(room.at(rank).reserve(5))
        begun.set()
        waiting[-1].result()

    start = time.monotonic()
    with pytest.raises(ZeroDivisionError):
        list(prefetch(fetched, range(4), threads=2, ahead=3, on_end=room.close))
    assert time.monotonic() - start < 10.0
    for future in [*waiting, room.at(9).reserve(0)]:
        with pytest.raises(Closed):
            future.result(timeout=0)
