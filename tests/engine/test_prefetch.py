"""Results come in order, some work is done ahead of them, and no more than was asked for."""

import threading
import time
from collections.abc import Iterator

import pytest

from wslabel.engine.prefetch import prefetch


def test_results_come_in_the_order_of_the_items_whoever_is_done_first() -> None:
    def later_items_first(item: int) -> int:
        time.sleep(0.002 * (10 - item))
        return item * item

    squares = prefetch(later_items_first, range(10), threads=4, ahead=8)
    assert list(squares) == [item * item for item in range(10)]


def test_items_are_taken_only_as_there_is_room() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for item in range(100):
            taken.append(item)
            yield item

    results = prefetch(abs, items(), threads=2, ahead=3)
    assert [next(results), next(results)] == [0, 1]
    assert taken == [0, 1, 2, 3, 4]
    results.close()  # type: ignore[attr-defined]


def test_threads_work_at_the_same_time() -> None:
    together = threading.Barrier(3, timeout=30)
    arrivals = prefetch(lambda _: together.wait(), range(3), threads=3, ahead=3)
    assert sorted(arrivals) == [0, 1, 2]


def test_an_error_comes_where_its_result_would() -> None:
    results = prefetch(lambda item: 1 // item, [1, 0, 2], threads=2, ahead=2)
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_who_stops_early_waits_for_nothing_more() -> None:
    done: list[int] = []

    def slow(item: int) -> int:
        time.sleep(0.01)
        done.append(item)
        return item

    results = prefetch(slow, range(50), threads=1, ahead=40)
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert len(done) < 10
