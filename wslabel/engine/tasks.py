"""Run light steps, from table to table, as plain Ray tasks.

Such steps read and write their tables themselves and pass nothing on, so there is no stream for
Ray Data to manage; plain tasks start seconds earlier, in workers that wait already.
"""

from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any, TypeVar

import ray
import ray.cloudpickle

from wslabel.engine.cluster import keep_to_own_gpus
from wslabel.engine.plan import Plan
from wslabel.engine.step import Item, ItemResult, ItemT, Step, guarded
from wslabel.errors import WslabelError

QUEUED = 2
"""Tasks submitted per worker, so that none waits for the driver."""

T = TypeVar("T")


def run(step: Step[ItemT], items: Sequence[ItemT], plan: Plan) -> Iterator[ItemResult]:
    """Run a step over items as Ray tasks; results come as items are finished.

    Args:
        step: What to do to each item.
        items: Shards or groups.
        plan: How many run at once, and what each may use.

    Raises:
        WslabelError: An item's failure stops the job.
    """
    # Ray starts a task again, three times by default, when its process or machine died.
    task = ray.remote(num_cpus=plan.cpus_per_actor)(_call_step)
    shared = ray.put(step)
    waiting = list(reversed(items))
    running: list[Any] = []
    while waiting or running:
        while waiting and len(running) < QUEUED * plan.actors:
            running.append(task.remote(shared, waiting.pop()))
        done, running = ray.wait(running)
        for result in ray.get(done):
            if result.failure is not None:
                raise result.failure
            yield result


def _call_step(step: Step[Any], item: Item) -> ItemResult:
    keep_to_own_gpus()
    return guarded(item, lambda: step(item))


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
    keep_to_own_gpus()
    try:
        return action()
    except WslabelError as error:
        return error
