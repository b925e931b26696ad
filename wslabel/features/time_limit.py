"""End this process where a piece of work takes too long.

A thread cannot be ended, and while a decoder in C holds the interpreter no other thread runs. So
the kernel ends the process: SIGALRM does, unless somebody handles it. Setting and clearing its
timer takes a microsecond.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

TIMED_OUT = -signal.SIGALRM
"""Exit code of a process that was ended so, as `subprocess` tells it."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """End this process unless what is done inside is over in time."""
    before = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, *before)
