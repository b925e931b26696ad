"""What workers of the cluster need, and what is told of those that fail."""

import pytest

from tests.training.toys import a_training
from wslabel.training.trainer import _scaling, cause


@pytest.mark.parametrize(
    ("changes", "resources"),
    [
        ({"cpus_per_worker": 2.0}, {"CPU": 2.0}),
        ({"use_gpu": True}, {"CPU": 1.0, "GPU": 1.0}),
        ({"use_gpu": True, "gpus_per_worker": 0.5}, {"CPU": 1.0, "GPU": 0.5}),
    ],
    ids=str,
)
def test_each_worker_reserves_what_the_settings_say(
    changes: dict[str, float], resources: dict[str, float]
) -> None:
    scaling = _scaling(a_training(**changes))
    assert scaling.resources_per_worker == resources
    assert scaling.use_gpu == changes.get("use_gpu", False)


def test_a_group_may_shrink_and_grow() -> None:
    assert _scaling(a_training(workers=[1, 3])).num_workers == (1, 3)


class WorkersFailed(Exception):
    def __init__(self) -> None:
        super().__init__("training failed")
        self.worker_failures = {1: RuntimeError("trace\n  line\nValueError: what went wrong\n")}


def test_the_cause_is_the_last_line_of_the_first_worker_that_failed() -> None:
    assert cause(WorkersFailed()) == "ValueError: what went wrong"
    assert cause(RuntimeError("")) == "RuntimeError"
