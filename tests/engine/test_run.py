"""Items stay whole and give one receipt each, whatever dies on the way."""

import importlib.util
import pickle
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray

from wslabel.engine.plan import Plan
from wslabel.engine.run import GIVE_UP_AFTER, _Attempts, _Both, run
from wslabel.engine.tasks import once, run_here, run_tasks, ship
from wslabel.engine.work import Receipt
from wslabel.errors import TooManyErrors, WslabelError

FUSED = Plan(2)
SPLIT = Plan(1, 0.5, 0.0, preparers=1)


def _shipped() -> Any:
    """Import the steps beside this file under a name of their own, and send them by value."""
    path = Path(__file__).with_name("steps_for_tests.py")
    spec = importlib.util.spec_from_file_location("steps_for_tests", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["steps_for_tests"] = module
    spec.loader.exec_module(module)
    ship(module)
    return module


steps = _shipped()
pytestmark = pytest.mark.usefixtures("cluster")


def items(count: int) -> list[SimpleNamespace]:
    return [
        SimpleNamespace(key=key, payload=tuple(range(key, key + 1 + key % 3)))
        for key in range(count)
    ]


@pytest.fixture(scope="module", params=[FUSED, SPLIT], ids=["fused", "split"])
def receipts(request: pytest.FixtureRequest, cluster: None) -> list[Receipt]:
    """Receipts of a run on which one item kills its process once and two meet slow storage."""
    trouble = steps.Trouble(
        kills_unless_isolated=frozenset({3}),
        is_left=frozenset({1}),
        is_left_in_finish=frozenset({4}),
    )
    return list(run(trouble, items(12), request.param))


def done(receipts: list[Receipt]) -> dict[int, Receipt]:
    return {receipt.item: receipt for receipt in receipts if receipt.left is None}


def test_every_item_gives_exactly_one_receipt(receipts: list[Receipt]) -> None:
    assert sorted(receipt.item for receipt in receipts) == list(range(12))


def test_items_stay_whole(receipts: list[Receipt]) -> None:
    found = done(receipts)
    for item in items(12):
        if item.key in found:
            receipt = found[item.key]
            assert receipt.num_images == len(item.payload)
            assert receipt.errors == {"missing": item.key % 2}
            assert receipt.result["payload"] == item.payload
            assert receipt.result["sum"] == sum(item.payload)


def test_a_killer_is_taken_up_again_isolated_and_all_others_survive(
    receipts: list[Receipt],
) -> None:
    isolated = {key for key, receipt in done(receipts).items() if receipt.result["isolated"]}
    assert isolated == {3}
    assert len(done(receipts)) == 10


def test_slow_storage_leaves_its_items_and_no_others(receipts: list[Receipt]) -> None:
    left = {receipt.item: receipt.left for receipt in receipts if receipt.left is not None}
    assert left == {1: "slow down, 1", 4: "slow down, 4"}


def test_halves_meet_in_one_process_only_if_fused(
    receipts: list[Receipt], request: pytest.FixtureRequest
) -> None:
    is_fused = request.node.name.endswith("[fused]")
    for receipt in done(receipts).values():
        assert (receipt.result["process"] == receipt.result["finished_by"]) == is_fused


def test_an_item_that_always_kills_stops_the_job() -> None:
    step = steps.Trouble(kills_in_finish=frozenset({1}))
    with pytest.raises(WslabelError, match=f"item 1 killed its process {GIVE_UP_AFTER} times"):
        list(run(step, items(2), SPLIT))


@pytest.mark.parametrize("half", ["prepare", "finish"])
def test_deaths_are_counted_item_by_item_and_half_by_half(half: str) -> None:
    attempts = ray.remote(num_cpus=0)(_Attempts).remote()
    for _ in range(GIVE_UP_AFTER):
        ray.get(attempts.begin.remote(1, half))
    worker = _Both(steps.Trouble(), attempts)
    failed, fine = (
        pickle.loads(worker({"item": [pickle.dumps(item)]})["receipt"][0])
        for item in reversed(items(2))
    )
    assert "item 1 killed its process" in str(failed.failure)
    assert fine.failure is None
    assert not fine.result["isolated"]


def test_an_error_of_ours_stops_the_job_with_that_very_error() -> None:
    with pytest.raises(TooManyErrors, match=r"^shard 2: enough$"):
        list(run(steps.Trouble(fails=frozenset({2})), items(3), SPLIT))


def test_arrays_survive_the_trip_between_processes() -> None:
    found = {receipt.item: receipt.result for receipt in run(steps.SendArrays(), items(3), SPLIT)}
    assert found == {
        0: ("parcel-0", [True]),
        1: ("parcel-1", [True] * 7),
        2: ("parcel-2", [True] * 7),
    }


def test_one_action_runs_once_elsewhere_and_its_error_comes_back() -> None:
    assert once(lambda: 6 * 7, FUSED) == 42

    def fail() -> None:
        raise TooManyErrors("none can be decoded")

    with pytest.raises(TooManyErrors, match="none can be decoded"):
        once(fail, FUSED)


@pytest.mark.parametrize(
    "run_light", [run_here, lambda *a: run_tasks(*a, FUSED)], ids=["here", "tasks"]
)
def test_light_work_gives_the_same_receipts_in_the_driver_and_as_tasks(run_light: Any) -> None:
    step = steps.Trouble(is_left=frozenset({1}))
    found = {receipt.item: receipt for receipt in run_light(step, items(4))}
    assert found[1] == Receipt(1, left="slow down, 1")
    assert [found[key].num_images for key in (0, 2, 3)] == [1, 3, 1]
    with pytest.raises(TooManyErrors, match="shard 0: enough"):
        list(run_light(steps.Trouble(fails=frozenset({0})), items(1)))
