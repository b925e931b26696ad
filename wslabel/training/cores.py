"""Keep each worker of a full machine on cores of its own."""

import os
from collections.abc import Sequence
from contextlib import suppress


def keep_to_own_cores(rank: int, size: int, cpus: float) -> None:
    """Let a worker of a full machine not wander: all wait for it at every exchange of a step.

    Args:
        rank: Number of this worker among those of its machine, from 0.
        size: Number of workers on this machine.
        cpus: CPUs that each of them reserved.
    """
    if not hasattr(os, "sched_setaffinity"):  # only Linux has it
        return
    cores = own_cores(sorted(os.sched_getaffinity(0)), rank, size, cpus)
    for thread in os.listdir("/proc/self/task"):
        with suppress(OSError):  # it ended, or the container forbids it: slower, not wrong
            os.sched_setaffinity(int(thread), cores)


def own_cores(cores: Sequence[int], rank: int, size: int, cpus: float) -> list[int]:
    """Choose the cores of one of a machine's workers: a share of all, if they need all of them.

    >>> own_cores([0, 1, 2, 3], rank=1, size=2, cpus=2.0)
    [2, 3]
    >>> own_cores([0, 1, 2, 3], rank=1, size=2, cpus=1.0)
    [0, 1, 2, 3]
    """
    share = len(cores) // size
    if share == 0 or size == 1 or size * cpus < len(cores):
        return list(cores)
    return list(cores[rank * share : (rank + 1) * share])
