"""Tell what GPUs processes see on a machine that, as Ray is told, has one; as JSON lines."""

import json
import os
from types import SimpleNamespace
from typing import Any

import ray

from wslabel.engine import actor_pool, tasks
from wslabel.engine.cluster import connect, disconnect
from wslabel.engine.gpus import has_gpu
from wslabel.engine.plan import Plan
from wslabel.engine.step import ItemResult

ITEMS = [SimpleNamespace(key=0)]
WITH_GPU = Plan(actors=1, gpus_per_actor=1.0)


def seen() -> list[Any]:
    return [os.environ.get("CUDA_VISIBLE_DEVICES"), has_gpu()]


class Look:
    """A step, at once or in halves, that tells what it sees."""

    def __call__(self, item: SimpleNamespace) -> ItemResult:
        return ItemResult(item=item.key, value=seen())

    def prepare(self, item: SimpleNamespace, *, isolated: bool) -> list[Any]:
        return seen()

    def finish(self, item: SimpleNamespace, prepared: list[Any]) -> ItemResult:
        return ItemResult(item=item.key, value=[prepared, seen()])


def main() -> None:
    connect()
    bare = ray.get(ray.remote(lambda: os.environ.get("CUDA_VISIBLE_DEVICES")).remote())
    disconnect()
    # A cluster that others started: nothing tells its workers but we.
    del os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"]
    ray.init("local", num_cpus=2, num_gpus=1, include_dashboard=False, log_to_driver=False)
    split = Plan(actors=1, cpus_per_actor=0.0, gpus_per_actor=1.0, preparers=1)
    told = {
        "bare": bare,
        "driver": seen(),
        "once": tasks.once(seen, Plan(actors=1)),
        "once_with_gpu": tasks.once(seen, WITH_GPU),
        "task": next(tasks.run(Look(), ITEMS, Plan(actors=1))).value,
        "actor": next(actor_pool.run(Look(), ITEMS, Plan(actors=1))).value,
        "actor_with_gpu": next(actor_pool.run(Look(), ITEMS, WITH_GPU)).value,
        "halves": next(actor_pool.run_split(Look(), ITEMS, split)).value,
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
