"""How a job is spread over a cluster: a pure function of what the cluster has."""

from dataclasses import dataclass, replace

from wslabel.config.engine import Engine
from wslabel.errors import ClusterTooSmall


@dataclass(frozen=True)
class Resources:
    """What a cluster has in all, busy or not."""

    cpus: float
    gpus: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Pools of actors; all of them together fit the cluster, so none waits for another.

    Without a pool to prepare, an actor does both halves of its items itself: on CPUs this spares
    the way through the object store and keeps every core busy whichever half is slower.

    Attributes:
        actors: Actors that run the step, or its model half.
        cpus_per_actor: CPUs that each of them reserves.
        gpus_per_actor: GPUs, or the share of one, that each of them reserves.
        preparers: Actors of one CPU each that do the CPU half; 0 leaves it to the others.
    """

    actors: int
    cpus_per_actor: float = 1.0
    gpus_per_actor: float = 0.0
    preparers: int = 0


def plan(
    resources: Resources, engine: Engine, *, num_items: int, uses_gpu: bool, is_split: bool
) -> Plan:
    """Plan the pools for a job.

    Args:
        resources: What the whole cluster has.
        engine: What the project file fixes.
        num_items: Shards or groups to do; no pool is larger.
        uses_gpu: Whether the job would run on a GPU where there is one.
        is_split: Whether it has a half for the CPU, which others then prepare for those with a GPU.

    Raises:
        ClusterTooSmall: the cluster can never run it; says what is missing.
    """
    gpus = engine.gpus_per_actor
    if gpus is None:
        gpus = 1.0 if uses_gpu and resources.gpus > 0 else 0.0
    if uses_gpu and gpus > 0:
        whole = _with_gpus(resources, engine, gpus, num_items)
        return _with_preparers(whole, resources, num_items) if is_split else whole
    cpus = engine.cpus_per_actor or min(1.0, resources.cpus)
    fitting = int(resources.cpus / cpus) if cpus else 0
    actors = engine.actors or max(1, fitting)
    if actors > fitting:
        advice = f"set engine.actors to {fitting} or less" if fitting else "add a machine with CPUs"
        if not fitting and resources.cpus:
            advice = f"set engine.cpus_per_actor to {resources.cpus:g} or less"
        raise ClusterTooSmall(
            f"engine: {actors} actors of {cpus or 1:g} CPUs need {actors * (cpus or 1):g} CPUs, "
            f"the cluster has {resources.cpus:g}; {advice}"
        )
    return Plan(actors=min(actors, max(1, num_items)), cpus_per_actor=cpus)


def _with_gpus(resources: Resources, engine: Engine, gpus: float, num_items: int) -> Plan:
    # Actors that need less than one GPU share one, but none takes parts of two.
    fitting = int(resources.gpus) * int(1 / gpus) if gpus <= 1 else int(resources.gpus // gpus)
    actors = engine.actors or fitting
    if not actors or actors > fitting:
        raise ClusterTooSmall(
            f"engine: {max(actors, 1)} actors of {gpus:g} GPUs need {max(actors, 1) * gpus:g} "
            f"GPUs, the cluster has {resources.gpus:g}"
        )
    actors = min(actors, max(1, num_items))
    # At least one CPU stays for decoding; actors feed a GPU and need little of their own.
    cpus = engine.cpus_per_actor or min(1.0, max(0.0, resources.cpus - 1) / actors / 2)
    if actors * cpus > resources.cpus:
        raise ClusterTooSmall(
            f"engine: {actors} GPU actors of {cpus:g} CPUs need {actors * cpus:g} CPUs, "
            f"the cluster has {resources.cpus:g}; lower engine.cpus_per_actor"
        )
    return Plan(actors=actors, cpus_per_actor=cpus, gpus_per_actor=gpus)


def _with_preparers(whole: Plan, resources: Resources, num_items: int) -> Plan:
    preparers = int(resources.cpus - whole.actors * whole.cpus_per_actor)
    if preparers < 1:
        raise ClusterTooSmall(
            f"engine: {whole.actors} GPU actors of {whole.cpus_per_actor:g} CPUs leave none of "
            f"the cluster's {resources.cpus:g} CPUs for decoding; lower engine.cpus_per_actor"
        )
    return replace(whole, preparers=min(preparers, max(1, num_items)))
