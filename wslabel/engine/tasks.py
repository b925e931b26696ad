"""Run light steps, from table to table: here in the driver, or as plain Ray tasks.

Such steps read and write their tables themselves and pass nothing on, so there is no stream for
Ray Data to manage; plain tasks start seconds earlier, in workers that wait already.
"""

from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any, TypeVar

import ray
import ray.cloudpickle

from wslabel.engine.plan import Plan
from wslabel.engine.work import Receipt, Step, guarded
from wslabel.errors import WslabelError

AHEAD = 2
"""Tasks submitted per worker, so that none waits for the driver."""

T = TypeVar("T")


def run_here(step: Step, items: Sequence[Any]) -> Iterator[Receipt]:
    """Run a step over a few items in this process, without a cluster.

    Raises:
        WslabelError: an item's failure stops the job.
    """
    for item in items:
        yield _checked(_both(step, item))


def run_tasks(step: Step, items: Sequence[Any], plan: Plan) -> Iterator[Receipt]:
    """Run a step over items as Ray tasks; receipts come as items are finished.

    Args:
        step: what to do to each.
        items: each with an integer `key`.
        plan: how many at once, and what each may use.

    Raises:
        WslabelError: an item's failure stops the job.
    """
    task = ray.remote(num_cpus=plan.cpus_per_actor)(_both)
    shared = ray.put(step)
    waiting = list(reversed(items))
    running: list[Any] = []
    while waiting or running:
        while waiting and len(running) < AHEAD * plan.actors:
            running.append(task.remote(shared, waiting.pop()))
        done, running = ray.wait(running)
        for receipt in ray.get(done):
            yield _checked(receipt)


def _both(step: Step, item: Any) -> Receipt:
    return guarded(item, lambda: step.finish(item, step.prepare(item, isolated=False)))


def _checked(receipt: Receipt) -> Receipt:
    if receipt.failure is not None:
        raise receipt.failure
    return receipt


def ship(module: ModuleType) -> None:
    """Let workers get a module of the user's own with what refers to it, not by importing it."""
    ray.cloudpickle.register_pickle_by_value(module)


def once(action: Callable[[], T], plan: Plan) -> T:
    """Call a function once with the resources of one actor, and wait for its result."""
    task = ray.remote(num_cpus=plan.cpus_per_actor, num_gpus=plan.gpus_per_actor, max_retries=0)(
        _call
    )
    result = ray.get(task.remote(action))
    if isinstance(result, WslabelError):
        raise result
    return result  # type: ignore[no-any-return]


def _call(action: Callable[[], T]) -> T | WslabelError:
    try:
        return action()
    except WslabelError as error:
        return error
