"""Items stay whole and give one result each, whatever dies on the way."""

import pickle

import psutil
import pytest
import ray

from tests.engine import steps_for_tests as steps
from tests.engine.steps_for_tests import items
from wslabel.engine.actor_pool import GIVE_UP_AFTER, _Attempts, _BothHalves, run, run_split
from wslabel.engine.plan import Plan
from wslabel.engine.step import ItemResult
from wslabel.engine.tasks import ship
from wslabel.errors import TooManyErrors, WslabelError

FUSED = Plan(actors=2)
SPLIT = Plan(actors=1, cpus_per_actor=0.5, gpus_per_actor=0.0, preparers=1)

ship(steps)
pytestmark = pytest.mark.usefixtures("cluster")


@pytest.fixture(scope="module", params=[FUSED, SPLIT], ids=["fused", "split"])
def results(request: pytest.FixtureRequest, cluster: None) -> list[ItemResult]:
    """Results of a run in which one item kills its process once and two meet slow storage."""
    trouble = steps.Trouble(
        kills_unless_isolated=frozenset({3}),
        is_left=frozenset({1}),
        is_left_in_finish=frozenset({4}),
    )
    return list(run_split(trouble, items(12), request.param))


def done(results: list[ItemResult]) -> dict[int, ItemResult]:
    return {result.item: result for result in results if result.left is None}


def test_every_item_gives_exactly_one_result(results: list[ItemResult]) -> None:
    assert sorted(result.item for result in results) == list(range(12))


def test_items_stay_whole(results: list[ItemResult]) -> None:
    by_key = done(results)
    for item in items(12):
        if item.key in by_key:
            result = by_key[item.key]
            assert result.num_images == len(item.payload)
            assert result.errors == {"missing": item.key % 2}
            assert result.value["payload"] == item.payload
            assert result.value["sum"] == sum(item.payload)


def test_the_death_of_the_counter_alone_costs_nothing() -> None:
    done = []
    for result in run(steps.Trouble(), items(200), FUSED):
        if not done:
            mine = psutil.Process().children(recursive=True)
            counters = [p for p in mine if p.name().startswith("ray::_Attempts")]
            assert counters
            for process in counters:
                process.kill()
        done.append(result.item)
    assert sorted(done) == list(range(200))


def test_a_killer_is_taken_up_again_isolated_and_all_others_survive(
    results: list[ItemResult],
) -> None:
    isolated = {key for key, result in done(results).items() if result.value["isolated"]}
    assert isolated == {3}
    assert len(done(results)) == 10


def test_slow_storage_leaves_its_items_and_no_others(results: list[ItemResult]) -> None:
    left = {result.item: result.left for result in results if result.left is not None}
    assert left == {1: "slow down, 1", 4: "slow down, 4"}


def test_halves_meet_in_one_process_only_if_fused(
    results: list[ItemResult], request: pytest.FixtureRequest
) -> None:
    is_fused = request.node.name.endswith("[fused]")
    for result in done(results).values():
        assert (result.value["process"] == result.value["finished_by"]) == is_fused


def test_an_item_that_always_kills_stops_the_job() -> None:
    step = steps.Trouble(kills_in_finish=frozenset({1}))
    with pytest.raises(WslabelError, match=f"item 1 killed its process {GIVE_UP_AFTER} times"):
        list(run_split(step, items(2), SPLIT))


@pytest.mark.parametrize("half", ["prepare", "finish"])
def test_deaths_are_counted_item_by_item_and_half_by_half(half: str) -> None:
    attempts = ray.remote(num_cpus=0)(_Attempts).remote()
    for _ in range(GIVE_UP_AFTER):
        ray.get(attempts.begin.remote(1, half))
    worker = ray.remote(num_cpus=0)(_BothHalves).remote(steps.Trouble(), attempts)
    failed, fine = (
        pickle.loads(ray.get(worker.__call__.remote({"item": [pickle.dumps(item)]}))["result"][0])
        for item in reversed(items(2))
    )
    assert "item 1 killed its process" in str(failed.failure)
    assert fine.failure is None
    assert not fine.value["isolated"]


def test_an_error_of_ours_stops_the_job_with_that_very_error() -> None:
    with pytest.raises(TooManyErrors, match=r"^shard 2: enough$"):
        list(run_split(steps.Trouble(fails=frozenset({2})), items(3), SPLIT))


def test_arrays_survive_the_trip_between_processes() -> None:
    results = run_split(steps.SendArrays(), items(3), SPLIT)
    assert {result.item: result.value for result in results} == {
        0: ("parcel-0", [True]),
        1: ("parcel-1", [True] * 7),
        2: ("parcel-2", [True] * 7),
    }


def test_a_step_of_one_method_gives_one_result_per_item() -> None:
    trouble = steps.Trouble(is_left=frozenset({1}))
    by_key = {result.item: result for result in run(trouble, items(4), FUSED)}
    assert by_key.pop(1) == ItemResult(item=1, left="slow down, 1", is_storage_failing=True)
    assert {key: result.num_images for key, result in by_key.items()} == {0: 1, 2: 3, 3: 1}
    assert all(result.value["payload"] == items(4)[key].payload for key, result in by_key.items())


def test_a_step_of_one_method_that_always_kills_stops_the_job() -> None:
    step = steps.Trouble(kills_always=frozenset({1}))
    with pytest.raises(WslabelError, match=f"item 1 killed its process {GIVE_UP_AFTER} times"):
        list(run(step, items(2), Plan(actors=1)))
