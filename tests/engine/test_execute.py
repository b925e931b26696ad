"""Work runs where it is worth it: in the driver, as tasks, or in pools of actors."""

import os
from types import SimpleNamespace
from typing import Any

import pytest

from tests.engine import steps_for_tests as steps
from tests.engine.steps_for_tests import items
from wslabel.config.engine import Engine
from wslabel.engine.execute import (
    MOST_IN_A_ROW,
    Placement,
    execute,
    execute_split,
    run_here,
    run_once,
)
from wslabel.engine.step import ItemResult
from wslabel.errors import StorageError, TooManyErrors, TransientStorageError, WorkLeft

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
    assert [result.item for result in told] == [1]


@pytest.mark.parametrize("placement", [Placement.TASKS, Placement.GPU])
@pytest.mark.usefixtures("cluster")
def test_whoever_needs_all_values_learns_first_that_one_is_left(placement: Placement) -> None:
    step = steps.Trouble(is_left=frozenset({3}))
    results = execute(ENGINE, "sum", step, items(4), placement=placement, by_value=[steps])
    with pytest.raises(WorkLeft, match="sum: 1 of 4 items stayed uncommitted"):
        sum(result.value["sum"] for result in results)


def in_driver(left: set[int], count: int, *, own: set[int] = frozenset()) -> tuple[list[int], str]:
    """Run items in this process; give those that were begun, and what is told at the end."""
    begun: list[int] = []

    def step(item: SimpleNamespace) -> ItemResult:
        begun.append(item.key)
        if item.key in left:
            raise TransientStorageError("slow down")
        if item.key in own:
            raise WorkLeft("2 images were not reached")
        return ItemResult(item=item.key)

    engine = Engine(driver_groups=count)
    with pytest.raises(WorkLeft) as caught:
        list(execute(engine, "vote", step, items(count), placement=Placement.TASKS))
    return begun, str(caught.value)


def test_what_users_should_know_is_said_once(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CI", "WSLABEL_QUIET"):
        monkeypatch.delenv(name, raising=False)

    def step(item: SimpleNamespace) -> ItemResult:
        return ItemResult(item=item.key, note="it rains" if item.key % 2 else "")

    engine = Engine(driver_groups=9)
    list(execute(engine, "walk", step, items(6), placement=Placement.TASKS))
    captured = capsys.readouterr()
    assert (captured.out + captured.err).count("walk: it rains") == 1


def test_storage_that_fails_for_item_after_item_stops_the_stage() -> None:
    begun, told = in_driver(set(range(2, 30)), 30)
    assert begun == list(range(2 + MOST_IN_A_ROW))
    assert told.startswith(f"vote: stopped, storage failed for {MOST_IN_A_ROW} items in a row")


def test_storage_that_fails_now_and_then_does_not() -> None:
    begun, told = in_driver({key for key in range(30) if key % 5}, 30)
    assert begun == list(range(30))
    assert told.startswith("vote: 24 of 30 items stayed uncommitted (slow down)")


def test_items_that_are_left_for_their_own_sake_do_not() -> None:
    begun, told = in_driver({3, 9}, 30, own=set(range(4, 20)) - {9})
    assert begun == list(range(30))
    assert told.startswith("vote: 17 of 30 items stayed uncommitted (slow down)")


@pytest.mark.usefixtures("cluster")
def test_storage_that_fails_stops_actors_and_tasks_too() -> None:
    step = steps.Trouble(is_left=frozenset(range(40)))
    for placement in Placement:
        results = execute(ENGINE, "vote", step, items(40), placement=placement, by_value=[steps])
        with pytest.raises(WorkLeft, match="stopped, storage failed for 5 items in a row"):
            list(results)


@pytest.mark.parametrize(
    "error", [PermissionError(13, "Permission denied", "a"), OSError(28, "No")]
)
def test_what_storage_says_of_a_place_stops_the_job_in_one_sentence(error: OSError) -> None:
    def step(_: SimpleNamespace) -> ItemResult:
        raise error

    with pytest.raises(StorageError) as caught:
        list(run_here(step, items(1)))
    assert str(caught.value) == str(error)


def test_light_work_in_the_driver_goes_on_after_slow_storage_and_stops_at_an_error() -> None:
    step = steps.Trouble(is_left=frozenset({1}))
    by_key = {result.item: result for result in run_here(step, items(4))}
    assert by_key[1] == ItemResult(item=1, left="slow down, 1", is_storage_failing=True)
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
