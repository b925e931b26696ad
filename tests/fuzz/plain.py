"""The search where atheris is not installed: mutations of what reached new lines, much slower."""

import random
import sys
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any


class Lines:
    """Notes which line follows which in the code of some modules."""

    def __init__(self, reads: Sequence[str]) -> None:
        self.edges: set[tuple[str, int, int]] = set()
        self._parts = tuple(f"/{name.replace('.', '/')}" for name in reads)

    def __call__(self, frame: FrameType, _event: str, _argument: object) -> Any:
        """Trace a function of these modules, and no other."""
        name = frame.f_code.co_filename
        if not any(part in name for part in self._parts):
            return None
        last = frame.f_lineno

        def trace(inner: FrameType, event: str, _: object) -> Any:
            nonlocal last
            if event == "line":
                self.edges.add((name, last, inner.f_lineno))
                last = inner.f_lineno
            return trace

        return trace


def search(
    one_input: Callable[[bytes], None],
    mutated: Callable[[bytes, random.Random], bytes],
    corpus: list[bytes],
    reads: Sequence[str],
    seconds: float,
) -> int:
    """Mutate members of a corpus and add what reached something new; give the edges reached."""
    lines, rng, end = Lines(reads), random.Random(), time.monotonic() + seconds
    fresh, number = list(corpus), 0
    while time.monotonic() < end:
        is_seed = number < len(fresh)
        data = fresh[number] if is_seed else mutated(rng.choice(corpus), rng)
        number += 1
        known = len(lines.edges)
        sys.settrace(lines)
        try:
            one_input(data)
        finally:
            sys.settrace(None)
        if len(lines.edges) > known and not is_seed:
            corpus.append(data)
    return len(lines.edges)
