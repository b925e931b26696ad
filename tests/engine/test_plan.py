"""Whatever a cluster has, its plan fits, or a sentence says what is missing."""

import math
import re
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from wslabel.config.engine import Engine
from wslabel.engine.plan import Node, Plan, Resources, plan
from wslabel.errors import ClusterTooSmall

EPSILON = 1e-6
REFUSAL = re.compile(r"engine: \d+ (GPU )?actors of [\d.e-]+ [CG]PUs (need|leave none for) ")
machines = st.builds(
    Node,
    cpus=st.one_of(st.integers(0, 64).map(float), st.floats(0, 8)),
    gpus=st.one_of(st.just(0.0), st.integers(0, 8).map(float)),
)
clusters = st.builds(Resources, st.lists(machines, max_size=6).map(tuple))
engines = st.builds(
    Engine,
    actors=st.none() | st.integers(1, 20),
    cpus_per_actor=st.none() | st.sampled_from([0.1, 0.25, 0.3, 0.5, 1.0, 2.0, 4.0]),
    gpus_per_actor=st.none() | st.sampled_from([0.0, 0.1, 0.25, 0.3, 0.4, 0.5, 0.75, 1.0, 2.0]),
)


def one(cpus: float, gpus: float = 0.0) -> Resources:
    return Resources((Node(cpus, gpus),))


class Machine:
    """What is free on a machine: its CPUs, and of each of its GPUs a part."""

    def __init__(self, node: Node) -> None:
        self.cpus, self.gpus = node.cpus, [1.0] * int(node.gpus)

    def take(self, cpus: float, gpus: float) -> bool:
        """Take what a process reserves, if it is there: whole GPUs, or a part of one."""
        part = min(gpus, 1.0)
        own = [i for i, free in enumerate(self.gpus) if free >= part - EPSILON]
        own = own[: math.ceil(gpus)]
        if self.cpus < cpus - EPSILON or len(own) < gpus - EPSILON:
            return False
        self.cpus -= cpus
        for index in own:
            self.gpus[index] -= part
        return True


def waits(resources: Resources, made: Plan, rng: Random) -> bool:
    """Place all actors of a plan in any order wherever there is room; tell whether one waits."""
    processes = [(made.cpus_per_actor, made.gpus_per_actor)] * made.actors
    processes += [(1.0, 0.0)] * made.preparers
    rng.shuffle(processes)
    machines = [Machine(node) for node in resources.nodes]
    for process in processes:
        rng.shuffle(machines)
        if not any(machine.take(*process) for machine in machines):
            return True
    return False


def plan_or_reason(
    resources: Resources, engine: Engine, num_items: int, *, uses_gpu: bool, is_split: bool
) -> Plan | str:
    try:
        return plan(resources, engine, num_items=num_items, uses_gpu=uses_gpu, is_split=is_split)
    except ClusterTooSmall as error:
        return str(error)


def case(resources: Resources, engine: Engine, *, uses_gpu: bool, is_split: bool) -> example:
    given_ = {"resources": resources, "engine": engine, "num_items": 100, "rng": Random(0)}
    return example(**given_, uses_gpu=uses_gpu, is_split=is_split)


@settings(deadline=None, max_examples=500)
@given(
    resources=clusters,
    engine=engines,
    num_items=st.integers(0, 500),
    uses_gpu=st.booleans(),
    is_split=st.booleans(),
    rng=st.randoms(),
)
@case(one(2, 2), Engine(gpus_per_actor=0.4), uses_gpu=True, is_split=True)
@case(one(1, 1), Engine(), uses_gpu=True, is_split=False)
@case(Resources((Node(2.0), Node(2.0))), Engine(cpus_per_actor=3), uses_gpu=False, is_split=True)
def test_a_plan_finds_room_in_whatever_order_it_is_placed_or_is_refused(
    resources: Resources,
    engine: Engine,
    num_items: int,
    *,
    uses_gpu: bool,
    is_split: bool,
    rng: Random,
) -> None:
    made = plan_or_reason(resources, engine, num_items, uses_gpu=uses_gpu, is_split=is_split)
    if isinstance(made, str):
        assert REFUSAL.match(made), made
        return
    assert made.actors >= 1
    assert made.actors <= max(1, num_items)
    assert engine.actors is None or made.actors <= engine.actors
    assert not waits(resources, made, rng)
    if made.gpus_per_actor:
        assert (made.preparers >= 1) is is_split
    else:
        assert made.cpus_per_actor > 0
    if not uses_gpu:
        assert made.gpus_per_actor == 0


@settings(deadline=None)
@given(
    cpus=st.integers(1, 64),
    gpus=st.integers(0, 8),
    items=st.integers(0, 99),
    uses_gpu=st.booleans(),
)
def test_plain_settings_run_on_any_machine(
    cpus: int, gpus: int, items: int, uses_gpu: bool
) -> None:
    made = plan(
        one(float(cpus), float(gpus)),
        Engine(),
        num_items=items,
        uses_gpu=uses_gpu,
        is_split=True,
    )
    if uses_gpu and gpus:
        assert made.actors == min(gpus, max(1, items))
    else:
        assert made == Plan(actors=min(cpus, max(1, items)))


@pytest.mark.parametrize("cpus", [1.0, 2.0])
def test_small_machines_use_all_they_have(cpus: float) -> None:
    assert plan(one(cpus), Engine(), num_items=9, uses_gpu=True, is_split=True) == Plan(
        actors=int(cpus)
    )


def test_one_cpu_and_a_gpu_leave_the_cpu_to_the_preparer() -> None:
    made = plan(one(1.0, 1.0), Engine(), num_items=9, uses_gpu=True, is_split=True)
    assert made == Plan(actors=1, cpus_per_actor=0.0, gpus_per_actor=1.0, preparers=1)


def test_few_items_start_few_actors() -> None:
    assert plan(one(64.0), Engine(), num_items=3, uses_gpu=False, is_split=True).actors == 3


def test_a_cluster_without_gpus_runs_on_cpus() -> None:
    made = plan(one(4.0), Engine(), num_items=9, uses_gpu=True, is_split=True)
    assert (made.gpus_per_actor, made.preparers) == (0.0, 0)


@pytest.mark.parametrize(
    ("resources", "engine", "told"),
    [
        (one(0.0), Engine(), "has 0 CPUs, 0 GPUs; add a machine with CPUs"),
        (one(2.0), Engine(actors=3), "3 actors of 1 CPUs need 3 CPUs, the cluster has 2"),
        (one(2.0), Engine(actors=3), "set engine.actors to 2 or less"),
        (one(2.0), Engine(cpus_per_actor=4), "set engine.cpus_per_actor to 2 or less"),
        (
            one(4.0),
            Engine(gpus_per_actor=1),
            "1 actors of 1 GPUs need 1 GPUs, .* has 4 CPUs, 0 GPUs",
        ),
        (one(4.0, 1.0), Engine(actors=3), "3 actors of 1 GPUs need 3 GPUs, .* has 4 CPUs, 1 GPUs"),
        (
            one(2.0, 1.0),
            Engine(cpus_per_actor=2),
            "leave none for decoding, .* lower engine.cpus_per_actor",
        ),
        (one(0.5, 1.0), Engine(), "leave none for decoding, .* add a machine with CPUs"),
    ],
)
def test_what_is_missing_is_named(resources: Resources, engine: Engine, told: str) -> None:
    with pytest.raises(ClusterTooSmall, match=told):
        plan(resources, engine, num_items=9, uses_gpu=True, is_split=True)


def test_work_without_a_half_for_the_cpu_needs_no_preparer() -> None:
    engine, resources = Engine(cpus_per_actor=2), one(2.0, 1.0)
    made = plan(resources, engine, num_items=9, uses_gpu=True, is_split=False)
    assert made == Plan(actors=1, cpus_per_actor=2.0, gpus_per_actor=1.0)
    with pytest.raises(ClusterTooSmall, match=r"1 GPU actors of 4 CPUs need 4 CPUs, .* has 2"):
        plan(resources, Engine(cpus_per_actor=4), num_items=9, uses_gpu=True, is_split=False)


@pytest.mark.parametrize(
    ("engine", "expected"),
    [
        (Engine(), Plan(actors=4)),
        (Engine(cpus_per_actor=2), Plan(actors=2, cpus_per_actor=2.0)),
        (Engine(cpus_per_actor=1.5), Plan(actors=2, cpus_per_actor=1.5)),
    ],
)
def test_an_actor_lives_on_one_machine(engine: Engine, expected: Plan) -> None:
    resources = Resources((Node(2.0), Node(2.0)))
    assert plan(resources, engine, num_items=99, uses_gpu=True, is_split=True) == expected


def test_an_actor_for_which_no_machine_is_large_enough_is_refused() -> None:
    resources = Resources((Node(2.0), Node(2.0), Node(1.0)))
    with pytest.raises(ClusterTooSmall) as caught:
        plan(resources, Engine(cpus_per_actor=3), num_items=9, uses_gpu=False, is_split=True)
    assert str(caught.value) == (
        "engine: 1 actors of 3 CPUs need 3 CPUs, the cluster has 2 machines of 2 CPUs, 0 GPUs "
        "and 1 machine of 1 CPUs, 0 GPUs; set engine.cpus_per_actor to 2 or less"
    )


def test_machines_without_a_gpu_decode_for_those_with_one() -> None:
    resources = Resources((Node(4.0, 1.0), Node(16.0), Node(16.0)))
    made = plan(resources, Engine(), num_items=99, uses_gpu=True, is_split=True)
    assert made == Plan(actors=1, cpus_per_actor=0.0, gpus_per_actor=1.0, preparers=35)
    kept = plan(resources, Engine(cpus_per_actor=3), num_items=99, uses_gpu=True, is_split=True)
    assert kept.preparers == 33
    with pytest.raises(ClusterTooSmall, match=r"lower engine\.cpus_per_actor"):
        plan(resources, Engine(cpus_per_actor=5), num_items=99, uses_gpu=True, is_split=True)
