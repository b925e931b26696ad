"""How a job is spread over a cluster: a pure function of what its machines have."""

from collections import Counter
from dataclasses import dataclass, replace

from wslabel.config.engine import Engine
from wslabel.errors import ClusterTooSmall

ROUNDING = 1e-9
"""So that three times 0.2 CPUs are found in 0.6, which as floats are a little less."""


@dataclass(frozen=True)
class Node:
    """What one machine has in all, busy or not."""

    cpus: float
    gpus: float = 0.0

    def __str__(self) -> str:
        return f"{self.cpus:g} CPUs, {self.gpus:g} GPUs"

    def room(self, cpus: float, gpus: float) -> int:
        """Tell how many processes it holds that reserve so many CPUs, or GPUs, or both."""
        fitting = []
        if cpus:
            fitting.append(int(self.cpus / cpus + ROUNDING))
        if gpus > 1:
            fitting.append(int(self.gpus // gpus))
        elif gpus:  # those that need less than one GPU share one, but none takes parts of two
            fitting.append(int(self.gpus) * int(1 / gpus + ROUNDING))
        return min(fitting)


@dataclass(frozen=True)
class Resources:
    """What the machines of a cluster have."""

    nodes: tuple[Node, ...]

    def __str__(self) -> str:
        """Say it, alike machines together.

        >>> str(Resources((Node(2.0), Node(8.0, 1.0), Node(2.0))))
        '1 machine of 8 CPUs, 1 GPUs and 2 machines of 2 CPUs, 0 GPUs'
        """
        if len(self.nodes) == 1:
            return str(self.nodes[0])
        alike = sorted(Counter(self.nodes).items(), key=lambda kind: -kind[0].cpus)
        kinds = [f"{n} machine{'s' if n > 1 else ''} of {node}" for node, n in alike]
        return " and ".join(kinds) or "no machine"

    @property
    def cpus(self) -> float:
        """CPUs of all machines together."""
        return sum(node.cpus for node in self.nodes)

    @property
    def most_cpus(self) -> float:
        """CPUs of the largest machine."""
        return max((node.cpus for node in self.nodes), default=0.0)

    @property
    def gpus(self) -> float:
        """GPUs of all machines together."""
        return sum(node.gpus for node in self.nodes)

    def room(self, cpus: float, gpus: float = 0.0) -> int:
        """Tell how many processes, each on one machine, reserve so many CPUs, or GPUs, or both."""
        return sum(node.room(cpus, gpus) for node in self.nodes)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Pools of actors, which find room on the machines in whatever order Ray places them.

    Only one pool reserves CPUs, as two would take them from each other: preparers might fill the
    machine with the GPU, whose actors would then wait for ever.

    Without a pool to prepare, an actor does both halves of its items itself: on CPUs this spares
    the way through the object store and keeps every core busy whichever half is slower.

    Attributes:
        actors: Actors that run the step, or its model half.
        cpus_per_actor: CPUs that each of them reserves; none beside preparers.
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
        resources: What the machines have.
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
    cpus = engine.cpus_per_actor or min(1.0, resources.most_cpus)
    fitting = resources.room(cpus) if cpus else 0
    actors = engine.actors or max(1, fitting)
    if actors > fitting:
        advice = f"set engine.actors to {fitting} or less" if fitting else "add a machine with CPUs"
        if not fitting and resources.cpus:
            advice = f"set engine.cpus_per_actor to {resources.most_cpus:g} or less"
        raise ClusterTooSmall(
            f"engine: {actors} actors of {cpus or 1:g} CPUs need {actors * (cpus or 1):g} CPUs, "
            f"the cluster has {resources}; {advice}"
        )
    return Plan(actors=min(actors, max(1, num_items)), cpus_per_actor=cpus)


def _with_gpus(resources: Resources, engine: Engine, gpus: float, num_items: int) -> Plan:
    cpus = engine.cpus_per_actor or 0.0  # actors feed a GPU and need little of their own
    fitting = resources.room(cpus, gpus)
    actors = engine.actors or max(1, fitting)
    if actors > resources.room(0.0, gpus):
        raise ClusterTooSmall(
            f"engine: {actors} actors of {gpus:g} GPUs need {actors * gpus:g} GPUs, "
            f"the cluster has {resources}"
        )
    if actors > fitting:
        raise ClusterTooSmall(
            f"engine: {actors} GPU actors of {cpus:g} CPUs need {actors * cpus:g} CPUs, "
            f"the cluster has {resources}; lower engine.cpus_per_actor"
        )
    actors = min(actors, max(1, num_items))
    return Plan(actors=actors, cpus_per_actor=cpus, gpus_per_actor=gpus)


def _with_preparers(whole: Plan, resources: Resources, num_items: int) -> Plan:
    if whole.cpus_per_actor:
        left = resources.cpus - whole.actors * whole.cpus_per_actor
    else:  # one for each actor, as far as half of all are not exceeded
        left = max(resources.cpus - whole.actors, (resources.cpus + 1) / 2)
    preparers = min(int(left + ROUNDING), resources.room(1.0))
    if preparers < 1:
        raise ClusterTooSmall(
            f"engine: {whole.actors} GPU actors of {whole.cpus_per_actor:g} CPUs leave none for "
            f"decoding, the cluster has {resources}; lower engine.cpus_per_actor"
        )
    return replace(whole, cpus_per_actor=0.0, preparers=min(preparers, max(1, num_items)))
