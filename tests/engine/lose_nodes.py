"""Run a job while every node but the driver's is replaced; print the keys of the items done."""

import json
import time
from types import SimpleNamespace

import ray
from ray.cluster_utils import Cluster

from tests.engine.steps_for_tests import items
from wslabel.config.engine import Engine
from wslabel.engine.actor_pool import run
from wslabel.engine.cluster import connect
from wslabel.engine.plan import plan
from wslabel.engine.step import ItemResult

NODES = 3


def step(item: SimpleNamespace) -> ItemResult:
    time.sleep(1)
    return ItemResult(item=item.key)


def main() -> None:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(NODES)]
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    done: list[int] = []
    engine = Engine()
    pools = plan(connect(), engine, num_items=40, uses_gpu=True, is_split=False)
    for result in run(step, items(40), pools):
        done.append(result.item)
        if nodes:
            cluster.add_node(num_cpus=1)
            cluster.remove_node(nodes.pop(), allow_graceful=False)
    ray.shutdown()
    cluster.shutdown()
    print(json.dumps(sorted(done)))


if __name__ == "__main__":
    main()
