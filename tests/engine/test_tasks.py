"""Light work as plain tasks: one result per item, and a single action somewhere else."""

import os

import pytest

from tests.engine import steps_for_tests as steps
from tests.engine.steps_for_tests import items
from wslabel.engine.plan import Plan
from wslabel.engine.step import ItemResult
from wslabel.engine.tasks import once, run, ship
from wslabel.errors import TooManyErrors

PLAN = Plan(actors=2)

ship(steps)
pytestmark = pytest.mark.usefixtures("cluster")


def test_every_item_gives_exactly_one_result_in_another_process() -> None:
    by_key = {result.item: result for result in run(steps.Trouble(), items(9), PLAN)}
    assert sorted(by_key) == list(range(9))
    assert [by_key[item.key].value["payload"] for item in items(9)] == [
        item.payload for item in items(9)
    ]
    assert os.getpid() not in {result.value["process"] for result in by_key.values()}


def test_slow_storage_leaves_its_item_and_no_others() -> None:
    step = steps.Trouble(is_left=frozenset({1}))
    by_key = {result.item: result for result in run(step, items(4), PLAN)}
    assert by_key[1] == ItemResult(item=1, left="slow down, 1", is_storage_failing=True)
    assert [by_key[key].num_images for key in (0, 2, 3)] == [1, 3, 1]


def test_an_error_of_ours_stops_the_job_with_that_very_error() -> None:
    with pytest.raises(TooManyErrors, match=r"^shard 0: enough$"):
        list(run(steps.Trouble(fails=frozenset({0})), items(1), PLAN))


def test_one_action_runs_once_elsewhere_and_its_error_comes_back() -> None:
    assert once(lambda: 6 * 7, PLAN) == 42
    assert once(os.getpid, PLAN) != os.getpid()

    def fail() -> None:
        raise TooManyErrors("none can be decoded")

    with pytest.raises(TooManyErrors, match="none can be decoded"):
        once(fail, PLAN)
