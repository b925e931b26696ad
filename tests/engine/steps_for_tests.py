"""Steps that behave well, fail, or kill their process; shipped to workers by value.

Only steps are: items and what is prepared travel as plain pickles, so they are of types that any
worker knows.
"""

import os
import signal
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from wslabel.engine.step import ItemResult
from wslabel.errors import TooManyErrors, TransientStorageError


def items(count: int) -> list[SimpleNamespace]:
    """Make items whose payloads differ in length."""
    return [
        SimpleNamespace(key=key, payload=tuple(range(key, key + 1 + key % 3)))
        for key in range(count)
    ]


def die() -> None:
    """End this process as the system does when memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class Trouble:
    """Goes through items, at once or in halves, with trouble on some of them by their keys."""

    kills_unless_isolated: frozenset[int] = frozenset()
    kills_always: frozenset[int] = frozenset()
    kills_in_finish: frozenset[int] = frozenset()
    fails: frozenset[int] = frozenset()
    is_left: frozenset[int] = frozenset()
    is_left_in_finish: frozenset[int] = frozenset()

    def __call__(self, item: SimpleNamespace) -> ItemResult:
        return self.finish(item, self.prepare(item, isolated=False))

    def prepare(self, item: SimpleNamespace, *, isolated: bool) -> dict[str, Any]:
        if item.key in self.kills_always or (
            item.key in self.kills_unless_isolated and not isolated
        ):
            die()
        if item.key in self.is_left:
            raise TransientStorageError(f"slow down, {item.key}")
        if item.key in self.fails:
            raise TooManyErrors(f"shard {item.key}: enough")
        return {"isolated": isolated, "sum": sum(item.payload), "process": os.getpid()}

    def finish(self, item: SimpleNamespace, prepared: dict[str, Any]) -> ItemResult:
        if item.key in self.kills_in_finish:
            die()
        if item.key in self.is_left_in_finish:
            raise TransientStorageError(f"slow down, {item.key}")
        value = prepared | {"payload": item.payload, "finished_by": os.getpid()}
        return ItemResult(
            item=item.key,
            num_images=len(item.payload),
            errors={"missing": item.key % 2},
            value=value,
        )


def arrays(key: int) -> tuple[np.ndarray, ...]:
    """Make arrays of many kinds: large, empty, strided, of objects; of key 0 a single empty one."""
    empty = np.zeros((0, 8, 8, 3), np.uint8)
    if not key:
        return (empty,)
    rng = np.random.default_rng(key)
    images = rng.integers(0, 256, (5, 7, 6, 3), np.uint8)
    return (
        images,
        images[:, ::2, ::-1],
        rng.normal(size=(3, 4)).astype(np.float16),
        np.asfortranarray(rng.normal(size=(4, 5))),
        empty,
        np.array(["a", None], object),
        np.arange(key),
    )


def is_same(a: np.ndarray, b: np.ndarray) -> bool:
    """Tell whether two arrays are equal in type, shape and values."""
    return a.dtype == b.dtype and a.shape == b.shape and bool((a == b).all())


@dataclass(frozen=True)
class SendArrays:
    """Prepares arrays in one process and compares them in the other."""

    def prepare(self, item: SimpleNamespace, *, isolated: bool) -> dict[str, Any]:
        return {"name": f"parcel-{item.key}", "arrays": arrays(item.key)}

    def finish(self, item: SimpleNamespace, prepared: dict[str, Any]) -> ItemResult:
        pairs = zip(arrays(item.key), prepared["arrays"], strict=True)
        return ItemResult(
            item=item.key, value=(prepared["name"], [is_same(a, b) for a, b in pairs])
        )
