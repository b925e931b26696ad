"""Run a step over whatever there is to do, in the way that its work is worth."""

from collections.abc import Iterator, Sequence
from enum import Enum, auto
from typing import Any

from wslabel.engine.cluster import connect
from wslabel.engine.plan import Plan, plan
from wslabel.engine.progress import track
from wslabel.engine.run import run
from wslabel.engine.tasks import run_here, run_tasks
from wslabel.engine.work import Receipt, Step
from wslabel.errors import WorkLeft
from wslabel.settings import Engine


class Spread(Enum):
    """What a stage wants: pools with GPUs or without, or, if cheap, tasks or just the driver."""

    GPU = auto()
    CPU = auto()
    CHEAP = auto()


def pools(engine: Engine, num_items: int, *, uses_gpu: bool) -> Plan:
    """Plan for the cluster that there is, which is started if there is none."""
    return plan(connect(engine), engine, num_items=num_items, uses_gpu=uses_gpu)


def drive(
    engine: Engine, stage: str, step: Step, works: Sequence[Any], *, spread: Spread
) -> Iterator[Receipt]:
    """Run a step over works, showing progress; without work nothing is started.

    Raises:
        WorkLeft: at the end, where some of it could not be done this time.
    """
    if not works:
        return
    if spread is Spread.CHEAP and len(works) <= engine.driver_groups:
        receipts = run_here(step, works)
    else:
        plan_ = pools(engine, len(works), uses_gpu=spread is Spread.GPU)
        run_on_ray = run_tasks if spread is Spread.CHEAP else run
        receipts = run_on_ray(step, works, plan_)
    left: list[Receipt] = []
    for receipt in track(receipts, stage, len(works)):
        if receipt.left is not None:
            left.append(receipt)
        yield receipt
    if left:
        raise WorkLeft(
            f"{stage}: {len(left)} of {len(works)} items stayed uncommitted "
            f"({left[0].left}); run again to take them up"
        )
