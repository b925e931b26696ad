"""Run a step over the items there are, in the way that its work is worth.

Ray is imported here, inside the functions that find work for it, and nowhere above: a run that
finds all tables made never loads it.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from enum import Enum, auto
from types import ModuleType
from typing import TypeVar

from wslabel.config.engine import Engine
from wslabel.engine.plan import Plan, Resources, plan
from wslabel.engine.progress import tell, track
from wslabel.engine.step import ItemResult, ItemT, PreparedT, SplitStep, Step, guarded
from wslabel.errors import WorkLeft

MOST_IN_A_ROW = 5
"""Items that storage may fail in a row before the rest is not even begun: it would be lost too."""

FEW_TOLD = 3
"""Items that are left and told of as they come; the end tells their number."""

T = TypeVar("T")


class Placement(Enum):
    """Where the items of a stage run: a pool of actors with a GPU where there is one, or tasks.

    A few items of light work run in the driver itself, see `Engine.driver_groups`.
    """

    GPU = auto()
    TASKS = auto()


def execute(
    engine: Engine,
    stage: str,
    step: Step[ItemT],
    items: Sequence[ItemT],
    *,
    placement: Placement,
    by_value: Sequence[ModuleType] = (),
) -> Iterator[ItemResult]:
    """Run a step over items, showing progress, and give the results of those that were done.

    Without items nothing is started. Whoever needs all results has them only if nothing was raised.

    Args:
        engine: What the project file says of the cluster.
        stage: Name that the progress is shown under.
        step: What to do to each item.
        items: Shards or groups; results come in the order in which they are finished.
        placement: Where the items run.
        by_value: Modules of the user's own, which workers cannot import.

    Raises:
        WorkLeft: At the end, where some items could not be done this time; at once, where storage
            fails again and again.
    """
    if not items:
        return
    if placement is Placement.TASKS and len(items) <= engine.driver_groups:
        results = run_here(step, items)
    else:
        results = _on_ray(engine, step, items, placement, by_value)
    yield from _tracked(stage, results, len(items))


def _on_ray(
    engine: Engine,
    step: Step[ItemT],
    items: Sequence[ItemT],
    placement: Placement,
    by_value: Sequence[ModuleType],
) -> Iterator[ItemResult]:
    from wslabel.engine import actor_pool, tasks  # noqa: PLC0415 - loads Ray, once there is work

    pools = _pools(engine, len(items), uses_gpu=placement is Placement.GPU)
    for module in by_value:
        tasks.ship(module)
    run = tasks.run if placement is Placement.TASKS else actor_pool.run
    return run(step, items, pools)


def execute_split(
    engine: Engine,
    stage: str,
    step: SplitStep[ItemT, PreparedT],
    items: Sequence[ItemT],
    *,
    uses_gpu: bool,
) -> Iterator[ItemResult]:
    """Run a step of two halves over items in pools of actors, as `execute` does.

    Raises:
        WorkLeft: As `execute` does.
    """
    if not items:
        return
    from wslabel.engine import actor_pool  # noqa: PLC0415 - loads Ray, once there is work

    pools = _pools(engine, len(items), uses_gpu=uses_gpu, is_split=True)
    yield from _tracked(stage, actor_pool.run_split(step, items, pools), len(items))


def _tracked(stage: str, results: Iterator[ItemResult], num_items: int) -> Iterator[ItemResult]:
    """Pass on what was done, and tell of what was left; it has no value to reckon with."""
    left: list[ItemResult] = []
    in_a_row = 0
    noted = {""}
    for result in track(results, stage, num_items):
        if result.note not in noted:
            noted.add(result.note)
            tell(f"{stage}: {result.note}")
        if result.left is None:
            in_a_row = 0
            yield result
            continue
        left.append(result)
        if len(left) <= FEW_TOLD:
            tell(f"{stage}: left for the next run: {result.left}")
        in_a_row += result.is_storage_failing
        if in_a_row == MOST_IN_A_ROW:
            raise WorkLeft(
                f"{stage}: stopped, storage failed for {in_a_row} items in a row ({result.left}); "
                "run again once it answers"
            )
    if left:
        raise WorkLeft(
            f"{stage}: {len(left)} of {num_items} items stayed uncommitted "
            f"({left[0].left}); run again to take them up"
        )


def run_here(step: Step[ItemT], items: Sequence[ItemT]) -> Iterator[ItemResult]:
    """Run a step over a few items in this process, without a cluster.

    Raises:
        WslabelError: An item's failure stops the job.
    """
    for item in items:
        result = guarded(item, lambda item=item: step(item))  # type: ignore[misc]
        if result.failure is not None:
            raise result.failure
        yield result


def run_once(engine: Engine, action: Callable[[], T], *, uses_gpu: bool) -> T:
    """Call a function once with the resources of one actor, and wait for its result."""
    from wslabel.engine import tasks  # noqa: PLC0415 - loads Ray, once there is work

    return tasks.once(action, _pools(engine, 1, uses_gpu=uses_gpu))


def _pools(engine: Engine, num_items: int, *, uses_gpu: bool, is_split: bool = False) -> Plan:
    cluster = connect()
    return plan(cluster, engine, num_items=num_items, uses_gpu=uses_gpu, is_split=is_split)


def connect() -> Resources:
    """Connect to the cluster, or start one on this machine, and tell what it has."""
    from wslabel.engine import cluster  # noqa: PLC0415 - loads Ray, once there is work

    return cluster.connect()


def is_connected() -> bool:
    """Tell whether this process has had a reason to use Ray."""
    if "ray" not in sys.modules:
        return False
    from wslabel.engine import cluster  # noqa: PLC0415 - loaded already

    return cluster.is_connected()


def disconnect() -> None:
    """Leave the cluster where there is one; a cluster that `connect` started ends."""
    if is_connected():
        from wslabel.engine import cluster  # noqa: PLC0415 - loaded already

        cluster.disconnect()
