"""Workers of a full machine keep to cores of their own."""

import os

import pytest

from wslabel.training.cores import keep_to_own_cores, own_cores


@pytest.mark.parametrize(
    ("size", "cpus", "expected"),
    [
        (1, 4.0, [0, 1, 2, 3]),
        (2, 2.0, [0, 1]),
        (2, 1.0, [0, 1, 2, 3]),
        (8, 1.0, [0, 1, 2, 3]),
        (3, 2.0, [0]),
    ],
)
def test_cores_are_shared_where_all_are_needed(size: int, cpus: float, expected: list[int]) -> None:
    assert own_cores([0, 1, 2, 3], 0, size, cpus) == expected


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="only Linux keeps to cores")
def test_a_worker_keeps_to_its_cores() -> None:
    all_cores = os.sched_getaffinity(0)
    try:
        keep_to_own_cores(0, len(all_cores), 1.0)
        assert os.sched_getaffinity(0) == {min(all_cores)}
    finally:
        for thread in os.listdir("/proc/self/task"):
            os.sched_setaffinity(int(thread), all_cores)
