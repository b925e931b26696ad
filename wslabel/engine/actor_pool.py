"""Stream items through pools of actors; the door to Ray Data.

Every item travels as one row in a block of its own, so that Ray Data can neither cut nor merge
items.
"""

import logging
import pickle
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
import ray
import ray.data

from wslabel.engine.cluster import beside_driver, keep_to_own_gpus
from wslabel.engine.plan import Plan
from wslabel.engine.step import Item, ItemResult, ItemT, PreparedT, SplitStep, Step, guarded
from wslabel.errors import WslabelError

ISOLATE_AFTER = 1
"""How many times an item may kill its process before it is taken apart in processes of its own."""

GIVE_UP_AFTER = 3
"""How many dead processes it takes until the item itself stops the job."""

Row = dict[str, np.ndarray]
"""One item on its way through Ray Data: columns of one cell each."""

T = TypeVar("T")


def run(step: Step[ItemT], items: Sequence[ItemT], plan: Plan) -> Iterator[ItemResult]:
    """Run a step over items in one pool of actors; results come as items are finished.

    Raises:
        WslabelError: An item's failure stops the job.
    """
    yield from _results(_mapped(_rows(items), _StepWorker, step, plan))


def run_split(
    step: SplitStep[ItemT, PreparedT], items: Sequence[ItemT], plan: Plan
) -> Iterator[ItemResult]:
    """Run a step of two halves over items, in one pool or, where the plan has preparers, in two.

    Raises:
        WslabelError: An item's failure stops the job.
    """
    rows = _rows(items)
    if not plan.preparers:
        yield from _results(_mapped(rows, _BothHalves, step, plan))
        return
    prepared = _mapped(rows, _CpuHalf, step, Plan(actors=plan.preparers))
    yield from _results(_mapped(prepared, _ModelHalf, step, plan))


def _rows(items: Sequence[Item]) -> ray.data.Dataset:
    _be_quiet()
    rows = [{"item": pickle.dumps(item)} for item in items]
    return ray.data.from_items(rows, override_num_blocks=len(rows))


def _mapped(rows: ray.data.Dataset, worker: type, step: Any, plan: Plan) -> ray.data.Dataset:
    # Ray Data restarts an actor that died and gives its row to another: _Attempts sees that as one
    # more begin of the same item.
    return rows.map_batches(
        worker,
        batch_size=1,
        fn_constructor_args=(step, beside_driver(_Attempts)),
        compute=ray.data.ActorPoolStrategy(size=plan.actors),
        num_cpus=plan.cpus_per_actor,
        num_gpus=plan.gpus_per_actor or None,
    )


def _results(rows: ray.data.Dataset) -> Iterator[ItemResult]:
    for row in rows.iter_rows():
        result: ItemResult = pickle.loads(row["result"])
        if result.failure is not None:
            raise result.failure
        yield result


class _Attempts:
    """Counts how often the work on an item was begun: its process died if it is more than once."""

    def __init__(self) -> None:
        self._begun: Counter[tuple[int, str]] = Counter()

    def begin(self, item: int, half: str) -> int:
        """Note one more attempt and tell how many there were before."""
        self._begun[item, half] += 1
        return self._begun[item, half] - 1


class _Worker:
    """An actor's hold on a step."""

    def __init__(self, step: Any, attempts: Any) -> None:
        keep_to_own_gpus()
        self._step, self._attempts = step, attempts

    def _attempt(self, item: Item, half: str, action: Callable[[int], T]) -> T | ItemResult:
        """Do a half of an item's work, given how many processes died of it before."""

        def counted() -> T:
            deaths: int = ray.get(self._attempts.begin.remote(item.key, half))
            if deaths >= GIVE_UP_AFTER:
                raise WslabelError(
                    f"item {item.key} killed its process {deaths} times; is memory too small?"
                )
            return action(deaths)

        return guarded(item, counted)

    def _prepare(self, item: Item) -> Any:
        def prepare(deaths: int) -> Any:
            return self._step.prepare(item, isolated=deaths >= ISOLATE_AFTER)

        return self._attempt(item, "prepare", prepare)

    def _finish(self, item: Item, prepared: Any) -> ItemResult:
        if isinstance(prepared, ItemResult):  # it went wrong in the first half
            return prepared
        return self._attempt(item, "finish", lambda _: self._step.finish(item, prepared))


class _StepWorker(_Worker):
    """Calls a step of one method."""

    def __call__(self, row: Row) -> Row:
        item = pickle.loads(row["item"][0])
        return _result_row(self._attempt(item, "step", lambda _: self._step(item)))


class _BothHalves(_Worker):
    """Does both halves in one process."""

    def __call__(self, row: Row) -> Row:
        item = pickle.loads(row["item"][0])
        return _result_row(self._finish(item, self._prepare(item)))


class _CpuHalf(_Worker):
    """Does the CPU half; its arrays travel as they are, everything else pickled beside them."""

    def __call__(self, row: Row) -> Row:
        prepared = self._prepare(pickle.loads(row["item"][0]))
        buffers: list[pickle.PickleBuffer] = []
        head = pickle.dumps(prepared, protocol=5, buffer_callback=buffers.append)
        flat = [np.frombuffer(buffer.raw(), np.uint8) for buffer in buffers]
        sizes = pickle.dumps([len(part) for part in flat])
        joined = np.concatenate(flat) if flat else np.zeros(1, np.uint8)
        return {
            "item": row["item"],
            "head": _cell(head),
            "sizes": _cell(sizes),
            "payload": joined[None],
        }


class _ModelHalf(_Worker):
    """Does the model half."""

    def __call__(self, row: Row) -> Row:
        ends = np.cumsum(pickle.loads(row["sizes"][0])).astype(int)
        payload = np.asarray(row["payload"][0])
        parts = np.split(payload, ends)[: len(ends)]
        prepared = pickle.loads(row["head"][0], buffers=parts)
        return _result_row(self._finish(pickle.loads(row["item"][0]), prepared))


def _result_row(result: ItemResult) -> Row:
    return {"result": _cell(pickle.dumps(result))}


def _cell(value: bytes) -> np.ndarray:
    column = np.empty(1, object)
    column[0] = value
    return column


def _be_quiet() -> None:
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.target_max_block_size = None
    logging.getLogger("ray.data").setLevel(logging.ERROR)
