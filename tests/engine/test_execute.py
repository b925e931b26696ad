"""Work runs where it is worth it: in the driver, as tasks, or in pools of actors."""

import os
from types import SimpleNamespace
from typing import Any

import pytest

from tests.engine import steps_for_tests as steps
from tests.engine.steps_for_tests import items
from wslabel.config.engine import Engine
from wslabel.engine.execute import Placement, execute, execute_split, run_here, run_once
from wslabel.engine.step import ItemResult
from wslabel.errors import TooManyErrors, WorkLeft

ENGINE = Engine(driver_groups=2, actors=1)


def light(step: Any, count: int, placement: Placement = Placement.TASKS) -> list[ItemResult]:
    results = execute(ENGINE, "vote", step, items(count), placement=placement, by_value=[steps])
    return sorted(results, key=lambda result: result.item)


def test_without_items_nothing_is_done() -> None:
    assert light(steps.Trouble(), 0) == []
    assert list(execute_split(ENGINE, "featurize", steps.Trouble(), [], uses_gpu=True)) == []


def test_a_few_items_of_light_work_are_done_in_the_driver() -> None:
    results = light(steps.Trouble(), ENGINE.driver_groups)
    assert [result.item for result in results] == [0, 1]
    assert {result.value["process"] for result in results} == {os.getpid()}


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("placement", [Placement.TASKS, Placement.GPU])
def test_other_work_is_done_elsewhere(placement: Placement) -> None:
    results = light(steps.Trouble(), ENGINE.driver_groups + 1, placement)
    assert [result.item for result in results] == [0, 1, 2]
    assert os.getpid() not in {result.value["process"] for result in results}


@pytest.mark.usefixtures("cluster")
def test_both_halves_of_a_split_step_are_done() -> None:
    results = list(execute_split(ENGINE, "features", steps.Trouble(), items(2), uses_gpu=False))
    assert {result.item: result.value["payload"] for result in results} == {0: (0,), 1: (1, 2)}


def test_work_that_is_left_is_told_at_the_end_after_all_results() -> None:
    step = steps.Trouble(is_left=frozenset({0}))
    results = execute(ENGINE, "vote", step, items(2), placement=Placement.TASKS)
    told: list[ItemResult] = []
    with pytest.raises(WorkLeft) as caught:
        told.extend(results)
    assert str(caught.value) == (
        "vote: 1 of 2 items stayed uncommitted (slow down, 0); run again to take them up"
    )
    assert [result.left for result in told] == ["slow down, 0", None]


def test_light_work_in_the_driver_goes_on_after_slow_storage_and_stops_at_an_error() -> None:
    step = steps.Trouble(is_left=frozenset({1}))
    by_key = {result.item: result for result in run_here(step, items(4))}
    assert by_key[1] == ItemResult(item=1, left="slow down, 1")
    assert [by_key[key].num_images for key in (0, 2, 3)] == [1, 3, 1]
    with pytest.raises(TooManyErrors, match="shard 0: enough"):
        list(run_here(steps.Trouble(fails=frozenset({0})), items(1)))


def test_an_item_is_done_before_the_next_one_is_begun() -> None:
    begun: list[int] = []

    def step(item: SimpleNamespace) -> ItemResult:
        begun.append(item.key)
        return ItemResult(item=item.key)

    results = run_here(step, items(3))
    next(results)
    assert begun == [0]


@pytest.mark.usefixtures("cluster")
def test_one_action_runs_once_elsewhere() -> None:
    assert run_once(ENGINE, os.getpid, uses_gpu=False) != os.getpid()
