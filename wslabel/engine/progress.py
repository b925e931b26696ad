"""Progress of a stage: images per second, time left, failures by kind; quiet in CI."""

import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from wslabel.engine.step import ItemResult
from wslabel.screen import say, visible

LINE_EVERY_S = 30.0


def is_quiet() -> bool:
    """Tell whether nobody watches: in CI, or where asked for silence."""
    return bool(os.environ.get("CI") or os.environ.get("WSLABEL_QUIET"))


class Show(Protocol):
    """What shows how a stage goes."""

    def step(self, text: str) -> None:
        """Show that one more item is done."""
        ...


@contextmanager
def showing(stage: str, num_items: int) -> Iterator[Show]:
    """Show how a stage goes: a bar on a terminal, a line now and then in a log, nothing in CI."""
    if is_quiet():
        yield _Nothing()
        return
    with (_bar if sys.stderr.isatty() else _lines)(stage, num_items) as show:
        yield show


def track(results: Iterable[ItemResult], stage: str, num_items: int) -> Iterator[ItemResult]:
    """Pass results on and show how it goes: a bar on a terminal, a line now and then in a log."""
    with showing(stage, num_items) as show:
        start, num_images, errors = time.monotonic(), 0, Counter[str]()
        for result in results:
            num_images += result.num_images
            errors.update(result.errors)
            rate = num_images / max(1e-9, time.monotonic() - start)
            failed = " ".join(f"{kind} {n}" for kind, n in sorted(errors.items()))
            show.step(f"{rate:,.1f} images/s {failed}".strip())
            yield result


def tell(text: str) -> None:
    """Show how something without a known end goes."""
    if not is_quiet():
        say(text, error=True)


class _Nothing:
    def step(self, text: str) -> None:
        pass


class _Bar:
    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task = progress, task

    def step(self, text: str) -> None:
        self._progress.update(self._task, advance=1, text=visible(text))


class _Lines:
    def __init__(self, stage: str, num_items: int) -> None:
        self._stage, self._num_items, self._done = stage, num_items, 0
        self._start = self._last = time.monotonic()

    def step(self, text: str) -> None:
        self._done += 1
        now = time.monotonic()
        if now - self._last < LINE_EVERY_S and self._done < self._num_items:
            return
        self._last = now
        left = (now - self._start) / self._done * (self._num_items - self._done)
        say(
            f"{self._stage}: {self._done}/{self._num_items}, {text}, {left:,.0f} s left",
            error=True,
        )


@contextmanager
def _bar(stage: str, num_items: int) -> Iterator[_Bar]:
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[text]}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield _Bar(progress, progress.add_task(visible(stage), total=num_items, text=""))


@contextmanager
def _lines(stage: str, num_items: int) -> Iterator[_Lines]:
    yield _Lines(stage, num_items)
