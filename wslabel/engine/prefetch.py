"""Do some work ahead of whoever wants its results, in threads, in order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

ItemT = TypeVar("ItemT")
T = TypeVar("T")


def prefetch(
    action: Callable[[ItemT], T],
    items: Iterable[ItemT],
    *,
    threads: int,
    ahead: int,
    on_end: Callable[[], object] = lambda: None,
) -> Iterator[T]:
    """Give the results of an action on items in their order, while threads do the next ones.

    Args:
        action: What is done to each item.
        items: What it is done to; taken one by one as there is room.
        threads: Number of items in work at once.
        ahead: Number of results, in work or done, that may wait for whoever wants them; it bounds
            the memory.
        on_end: Is called when no more results are wanted, while some actions may still go on.

    >>> list(prefetch(str.upper, "abc", threads=2, ahead=2))
    ['A', 'B', 'C']
    """
    waiting: deque[Future[T]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="prefetch") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(action, item))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
            on_end()
