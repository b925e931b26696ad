"""Stream items through pools of actors; the door to Ray Data."""

import logging
import pickle
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import ray
import ray.data

from wslabel.engine.plan import Plan
from wslabel.engine.work import Receipt, Step, guarded
from wslabel.errors import WslabelError

ISOLATE_AFTER = 1
"""How many times an item may kill its process before it is taken apart in processes of its own."""

GIVE_UP_AFTER = 3
"""How many dead processes it takes until the item itself stops the job."""

Batch = dict[str, np.ndarray]


class _Attempts:
    """Counts how often each half of an item was begun: a process died on it if more than once."""

    def __init__(self) -> None:
        self._begun: Counter[tuple[int, str]] = Counter()

    def begin(self, item: int, half: str) -> int:
        """Note one more attempt and tell how many there were before."""
        self._begun[item, half] += 1
        return self._begun[item, half] - 1


class _Worker:
    """An actor's hold on a step."""

    def __init__(self, step: Step, attempts: Any) -> None:
        self._attempts = attempts
        self._step = step

    def _begin(self, item: Any, half: str) -> int:
        before: int = ray.get(self._attempts.begin.remote(item.key, half))
        if before >= GIVE_UP_AFTER:
            raise WslabelError(
                f"item {item.key} killed its process {before} times; is memory too small?"
            )
        return before

    def _prepare(self, item: Any) -> Any:
        def action() -> Any:
            isolated = self._begin(item, "prepare") >= ISOLATE_AFTER
            return self._step.prepare(item, isolated=isolated)

        return guarded(item, action)

    def _finish(self, item: Any, prepared: Any) -> Receipt:
        if isinstance(prepared, Receipt):
            return prepared

        def action() -> Receipt:
            self._begin(item, "finish")
            return self._step.finish(item, prepared)

        return guarded(item, action)


class _Both(_Worker):
    """Both halves in one process."""

    def __call__(self, batch: Batch) -> Batch:
        item = pickle.loads(batch["item"][0])
        receipt = self._finish(item, self._prepare(item))
        return {"receipt": _cell(pickle.dumps(receipt))}


class _Preparer(_Worker):
    """The CPU half; its arrays travel as they are, everything else pickled beside them."""

    def __call__(self, batch: Batch) -> Batch:
        prepared = self._prepare(pickle.loads(batch["item"][0]))
        buffers: list[pickle.PickleBuffer] = []
        head = pickle.dumps(prepared, protocol=5, buffer_callback=buffers.append)
        flat = [np.frombuffer(buffer.raw(), np.uint8) for buffer in buffers]
        sizes = pickle.dumps([len(part) for part in flat])
        joined = np.concatenate(flat) if flat else np.zeros(1, np.uint8)
        return {
            "item": batch["item"],
            "head": _cell(head),
            "sizes": _cell(sizes),
            "payload": joined[None],
        }


class _Finisher(_Worker):
    """The model half."""

    def __call__(self, batch: Batch) -> Batch:
        ends = np.cumsum(pickle.loads(batch["sizes"][0])).astype(int)
        payload = np.asarray(batch["payload"][0])
        parts = np.split(payload, ends)[: len(ends)]
        prepared = pickle.loads(batch["head"][0], buffers=parts)
        receipt = self._finish(pickle.loads(batch["item"][0]), prepared)
        return {"receipt": _cell(pickle.dumps(receipt))}


def _cell(value: bytes) -> np.ndarray:
    column = np.empty(1, object)
    column[0] = value
    return column


def run(step: Step, items: Sequence[Any], plan: Plan) -> Iterator[Receipt]:
    """Run a step over items; receipts come in the order in which items are finished.

    Every item travels as one row in a block of its own, so that Ray Data can neither cut nor merge
    items.

    Args:
        step: what to do to each.
        items: picklable, each with an integer `key`.
        plan: the pools.

    Raises:
        WslabelError: an item's failure stops the job.
    """
    _be_quiet()
    attempts = ray.remote(num_cpus=0)(_Attempts).remote()
    rows = [{"item": pickle.dumps(item)} for item in items]
    data = ray.data.from_items(rows, override_num_blocks=len(rows))
    common = {"batch_size": 1, "fn_constructor_args": (step, attempts)}
    if plan.preparers:
        data = data.map_batches(_Preparer, compute=_pool(plan.preparers), num_cpus=1, **common)
    worker = _Finisher if plan.preparers else _Both
    data = data.map_batches(
        worker,
        compute=_pool(plan.actors),
        num_cpus=plan.cpus_per_actor,
        num_gpus=plan.gpus_per_actor or None,
        **common,
    )
    for row in data.iter_rows():
        receipt: Receipt = pickle.loads(row["receipt"])
        if receipt.failure is not None:
            raise receipt.failure
        yield receipt


def _pool(size: int) -> ray.data.ActorPoolStrategy:
    return ray.data.ActorPoolStrategy(size=size)


def _be_quiet() -> None:
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.target_max_block_size = None
    logging.getLogger("ray.data").setLevel(logging.ERROR)
