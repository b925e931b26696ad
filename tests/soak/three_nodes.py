"""A Ray cluster of three nodes on this machine, of which any process may be killed."""

import random
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import psutil
from ray.cluster_utils import Cluster

RAYS_OWN = (
    "IDLE", "DashboardAgent", "RuntimeEnvAgent", "_StatsActor", "Coordinator", "LocationTracker",
)  # fmt: skip
"""What is no work of ours; a node ends with its agents."""

NODES = 2
"""Nodes beside the head."""


class ThreeNodes:
    """A head, on which drivers run, and two more nodes; what was killed comes back."""

    def __init__(self) -> None:
        self._cluster: Any = None
        self._nodes: list[Any] = []

    def address(self) -> str:
        """Start what is not running, and give the address."""
        if self._cluster is None:
            head = {"num_cpus": 1, "include_dashboard": False}
            self._cluster = Cluster(initialize_head=True, head_node_args=head)
        while len(self._nodes) < NODES:
            self._nodes.append(self._cluster.add_node(num_cpus=1))
        return str(self._cluster.address)

    def kill_node(self, dice: random.Random) -> bool:
        """Kill a node other than the head, without a word to anybody."""
        if not self._nodes:
            return False
        node = self._nodes.pop(dice.randrange(len(self._nodes)))
        self._cluster.remove_node(node, allow_graceful=False)
        return True

    def kill_head(self) -> bool:
        """Kill the head, and with it the cluster."""
        if self._cluster is None:
            return False
        for node in (self._cluster.head_node, *self._nodes):
            node.kill_all_processes(check_alive=False, allow_graceful=False, wait=False)
        self.stop()
        return True

    def stop(self) -> None:
        """End all of it."""
        if self._cluster is not None:
            with suppress(Exception):  # of processes that are dead already
                self._cluster.shutdown()
            for process in _children():
                process.kill()
            self._cluster, self._nodes = None, []

    def workers(self, *, is_actor: bool) -> list[psutil.Process]:
        """List Ray's processes that are at work: actors of pools, or tasks and training."""
        found = []
        for process in _children():
            with suppress(psutil.Error):
                title = " ".join(process.cmdline())
                if title.startswith("ray::") and not any(own in title for own in RAYS_OWN):
                    found += [process] if ("MapWorker" in title) == is_actor else []
        return found


def _children() -> Iterator[psutil.Process]:
    """Go through Ray's processes."""
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if "ray" in " ".join(process.cmdline()):
                yield process
