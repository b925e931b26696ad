"""Whatever a cluster has, its plan fits, or a sentence says what is missing."""

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from wslabel.config.engine import Engine
from wslabel.engine.cluster import Resources
from wslabel.engine.plan import Plan, plan
from wslabel.errors import ClusterTooSmall

EPSILON = 1e-6
REFUSAL = re.compile(r"engine: \d+ (GPU )?actors of [\d.e-]+ [CG]PUs (need|leave none of) ")
clusters = st.builds(
    Resources,
    cpus=st.one_of(st.integers(0, 64).map(float), st.floats(0, 8)),
    gpus=st.integers(0, 16).map(float),
)
engines = st.builds(
    Engine,
    actors=st.none() | st.integers(1, 20),
    cpus_per_actor=st.none() | st.sampled_from([0.1, 0.25, 0.3, 0.5, 1.0, 2.0, 4.0]),
    gpus_per_actor=st.none() | st.sampled_from([0.0, 0.1, 0.25, 0.3, 0.4, 0.5, 0.75, 1.0, 2.0]),
)


def actors_that_fit(gpus: float, per_actor: float) -> int:
    """Place actors on GPUs one by one; a part of a GPU must come from one GPU."""
    if per_actor > 1:
        return int(gpus // per_actor)
    placed = 0
    for _ in range(int(gpus)):
        free = 1.0
        while free >= per_actor - EPSILON:
            free -= per_actor
            placed += 1
    return placed


def plan_or_reason(
    resources: Resources, engine: Engine, num_items: int, *, uses_gpu: bool, is_split: bool
) -> Plan | str:
    try:
        return plan(resources, engine, num_items=num_items, uses_gpu=uses_gpu, is_split=is_split)
    except ClusterTooSmall as error:
        return str(error)


@settings(deadline=None, max_examples=500)
@given(
    resources=clusters,
    engine=engines,
    num_items=st.integers(0, 500),
    uses_gpu=st.booleans(),
    is_split=st.booleans(),
)
@example(
    resources=Resources(2.0, 2.0),
    engine=Engine(gpus_per_actor=0.4),
    num_items=100,
    uses_gpu=True,
    is_split=True,
)
@example(
    resources=Resources(1.0, 1.0), engine=Engine(), num_items=10, uses_gpu=True, is_split=False
)
def test_a_plan_fits_its_cluster_or_is_refused(
    resources: Resources, engine: Engine, num_items: int, *, uses_gpu: bool, is_split: bool
) -> None:
    made = plan_or_reason(resources, engine, num_items, uses_gpu=uses_gpu, is_split=is_split)
    if isinstance(made, str):
        assert REFUSAL.match(made), made
        return
    assert made.actors >= 1
    assert made.actors <= max(1, num_items)
    assert engine.actors is None or made.actors <= engine.actors
    assert made.actors * made.cpus_per_actor + made.preparers <= resources.cpus + EPSILON
    if made.gpus_per_actor:
        assert (made.preparers >= 1) is is_split
        assert made.actors <= actors_that_fit(resources.gpus, made.gpus_per_actor)
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
        Resources(float(cpus), float(gpus)),
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
    assert plan(Resources(cpus), Engine(), num_items=9, uses_gpu=True, is_split=True) == Plan(
        actors=int(cpus)
    )


def test_one_cpu_and_a_gpu_leave_the_cpu_to_the_preparer() -> None:
    made = plan(Resources(1.0, 1.0), Engine(), num_items=9, uses_gpu=True, is_split=True)
    assert made == Plan(actors=1, cpus_per_actor=0.0, gpus_per_actor=1.0, preparers=1)


def test_few_items_start_few_actors() -> None:
    assert plan(Resources(64.0), Engine(), num_items=3, uses_gpu=False, is_split=True).actors == 3


def test_a_cluster_without_gpus_runs_on_cpus() -> None:
    made = plan(Resources(4.0), Engine(), num_items=9, uses_gpu=True, is_split=True)
    assert (made.gpus_per_actor, made.preparers) == (0.0, 0)


@pytest.mark.parametrize(
    ("resources", "engine", "told"),
    [
        (Resources(0.0), Engine(), "has 0; add a machine with CPUs"),
        (Resources(2.0), Engine(actors=3), "3 actors of 1 CPUs need 3 CPUs, the cluster has 2"),
        (Resources(2.0), Engine(actors=3), "set engine.actors to 2 or less"),
        (Resources(2.0), Engine(cpus_per_actor=4), "set engine.cpus_per_actor to 2 or less"),
        (Resources(4.0), Engine(gpus_per_actor=1), "1 actors of 1 GPUs need 1 GPUs, .* has 0"),
        (Resources(4.0, 1.0), Engine(actors=3), "3 actors of 1 GPUs need 3 GPUs, .* has 1"),
        (
            Resources(2.0, 1.0),
            Engine(cpus_per_actor=2),
            "leave none .* lower engine.cpus_per_actor",
        ),
    ],
)
def test_what_is_missing_is_named(resources: Resources, engine: Engine, told: str) -> None:
    with pytest.raises(ClusterTooSmall, match=told):
        plan(resources, engine, num_items=9, uses_gpu=True, is_split=True)


def test_work_without_a_half_for_the_cpu_needs_no_preparer() -> None:
    engine, resources = Engine(cpus_per_actor=2), Resources(2.0, 1.0)
    made = plan(resources, engine, num_items=9, uses_gpu=True, is_split=False)
    assert made == Plan(actors=1, cpus_per_actor=2.0, gpus_per_actor=1.0)
    with pytest.raises(ClusterTooSmall, match=r"1 GPU actors of 4 CPUs need 4 CPUs, .* has 2"):
        plan(resources, Engine(cpus_per_actor=4), num_items=9, uses_gpu=True, is_split=False)
