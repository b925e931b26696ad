"""Two drivers in one process, each going on only when told: every interleaving can be played.

A driver stands still at each access to storage (`wslabel.failpoints`) until it is told to go on, to
fail there, or to die there. Nothing but the order of accesses is pretended: the files are real, and
so is every stage.
"""

import gc
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from enum import Enum, auto
from functools import cached_property
from types import SimpleNamespace
from typing import Any

import pytest

from wslabel import failpoints
from wslabel.engine.step import ItemResult, guarded
from wslabel.errors import TransientStorageError, WorkLeft, WslabelError
from wslabel.project.project import Project
from wslabel.stages import ingest, label, vote
from wslabel.stages.featurize import featurize
from wslabel.storage import failures
from wslabel.workspace.workspace import Workspace

PATIENCE_S = 300.0


class Order(Enum):
    """What a driver is told to do where it stands."""

    GO = auto()
    FAIL = auto()
    """An error that another try may mend."""
    BREAK = auto()
    """An outage that no try mends."""
    DIE = auto()


class Killed(BaseException):
    """What ends a driver as a signal would: nothing catches it."""


class Driver:
    """One run of a project, in a thread that moves only when told."""

    def __init__(self, project: Project, retry: Collection[str] = ()) -> None:
        self.error: WslabelError | None = None
        """What the run ended with; None where it went well, or was killed."""
        self._project, self._retry = project, retry
        self._order, self._free = Order.GO, False
        self._may_go, self._stands = threading.Semaphore(0), threading.Semaphore(0)
        self._bug: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        _drivers[self._thread] = self
        self._thread.start()
        self._wait()

    @property
    def is_over(self) -> bool:
        return not self._thread.is_alive()

    def go(self, steps: int = 1, order: Order = Order.GO) -> None:
        """Move over some places; at the first of them it does as ordered."""
        for _ in range(steps):
            if self.is_over:
                return
            self._order, order = order, Order.GO
            self._may_go.release()
            self._wait()

    def finish(self) -> None:
        """Move to the end."""
        self._free = True
        self.go()
        while not self.is_over:
            self.go()

    def _wait(self) -> None:
        assert self._stands.acquire(timeout=PATIENCE_S), "a driver stands still"
        if self._bug is not None:
            raise self._bug

    def stand(self, *, can_fail: bool) -> None:
        """Stand still at a place, until told; where something is done already, nothing can fail."""
        if self._free and self._order is not Order.DIE:
            return
        if self._order is not Order.DIE:  # who dies passes no more places
            self._stands.release()
            self._may_go.acquire()
        if self._order is Order.FAIL and can_fail:
            raise OSError("a passing fault")
        if self._order is Order.BREAK and can_fail:
            raise TransientStorageError("an outage")
        if self._order is Order.DIE:
            raise Killed

    def _run(self) -> None:
        try:
            story(self._project, self._retry)
        except Killed:
            pass
        except WslabelError as error:
            self.error = error
        except BaseException as error:  # noqa: BLE001 - shown by the machine's own thread
            self._bug = error
        finally:
            _drivers.pop(threading.current_thread(), None)
            threading.Thread(target=self._end, args=(threading.current_thread(),)).start()

    def _end(self, thread: threading.Thread) -> None:
        thread.join()
        self._stands.release()


_drivers: dict[threading.Thread, Driver] = {}


def story(project: Project, retry: Collection[str]) -> None:
    """Do what `wslabel run` does up to the labels."""
    ingest.run(Workspace(project))
    featurize.run(Workspace(project), retry)
    vote.run(Workspace(project))
    label.run(Workspace(project))


def _here(
    _: object, stage: str, step: Any, items: Sequence[Any], **__: object
) -> Iterator[ItemResult]:
    """Run a split step in this thread, with the engine's own rules."""
    left = []
    for item in items:
        prepared = guarded(item, lambda item=item: step.prepare(item, isolated=False))
        result = prepared
        if not isinstance(prepared, ItemResult):
            result = guarded(item, lambda item=item, p=prepared: step.finish(item, p))
        if result.failure is not None:
            raise result.failure
        left += [result] if result.left is not None else []
        yield result
    if left:
        raise WorkLeft(f"{stage}: {len(left)} items left: {left[0].left}")


def _at(place: str, what: object) -> None:
    driver = _drivers.get(threading.current_thread())
    if driver is not None:
        driver.stand(can_fail=not place.startswith("after"))


@contextmanager
def drivers() -> Iterator[Callable[..., Driver]]:
    """Let drivers be started that stand still at every access to storage."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(featurize, "execute_split", _here)
        clock = SimpleNamespace(monotonic=failures.time.monotonic, sleep=lambda _: None)
        patch.setattr(failures, "time", clock)
        patch.setenv("WSLABEL_QUIET", "1")
        for found in gc.get_objects():
            # Python 3.11 locks a cached property of all instances while one computes it: a driver
            # that stands still within would stop the other.
            if type(found) is cached_property and hasattr(found, "lock"):
                patch.setattr(found, "lock", nullcontext())
        failpoints.install(_at)
        try:
            yield Driver
        finally:
            failpoints.install(None)
            for driver in list(_drivers.values()):
                driver.go(order=Order.DIE)
