"""From tables to what training needs: runs, their examples, and where networks are kept."""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from wslabel.settings import Optimization, Pretraining, Training
from wslabel.steps import doors
from wslabel.steps.examples import Column, TableExamples, Targets
from wslabel.steps.networks import Started, maker
from wslabel.steps.tables import NETWORK, Derived, Network, Tables
from wslabel.storage.location import Location
from wslabel.storage.table import GROUP_SIZE

CARD = "card.json"
TURNS = 4
"""Outputs of a network that learns from images alone: by how many quarters one was turned."""


def training_run(tables: Tables, network: Network) -> Any:
    """Describe the training of one network; what it learns from is read in the workers."""
    how = network.how
    validate = None
    if how.validate_on is not None:
        kind = "original" if how.validate_on == "truth" else "soft"
        classes, labels = tuple(tables.project.classes), _labels(tables, kind)
        targets = Targets(classes, ("val",), kind, labels, network.parts)
        validate = _examples(tables, how, targets)
    return doors.room("training.loop").Run(
        name=network.name,
        folder=network.folder,
        make=started(tables, how, network_maker(tables, how)),
        how=how,
        objective=doors.room("training.objectives").Supervised(how, _mixing(how)),
        train=_examples(tables, how, _targets(tables, network), how.seed),
        validate=validate,
        card=_card(tables, network),
    )


def _mixing(how: Training) -> Any:
    if not how.mixup and not how.cutmix:
        return None
    return doors.room("training.mixing").Mixing(how.mixup, how.cutmix)


def pretraining_run(tables: Tables, how: Pretraining) -> Any:
    """Describe the training of a body on images alone."""
    objectives = doors.room("training.objectives")
    networks = doors.room("training.networks")
    make = started(tables, how, network_maker(tables, how))
    objective = objectives.Rotation()
    if how.method == "simclr":
        objective = objectives.SimClr(how.temperature)
        make = networks.MakeProjecting(make, how.projection_dim)
    targets = Targets((), tuple(how.splits), None)
    return doors.room("training.loop").Run(
        name=how.method,
        folder=tables.pretrained,
        make=make,
        how=how,
        objective=objective,
        train=_examples(tables, how, targets, how.seed),
        card={"pretraining": how.model_dump(mode="json"), "network": how.network},
    )


def network_maker(tables: Tables, how: Optimization) -> Callable[[], Any]:
    """Give what builds a network from random numbers in any process."""
    outputs = len(tables.project.classes) if isinstance(how, Training) else TURNS
    return maker(how, tables.extractors[how.feature], outputs)


def started(tables: Tables, how: Optimization, make: Callable[[], Any]) -> Callable[[], Any]:
    """Let a network start from the checkpoint that its settings name."""
    if how.weights is None:
        return make
    weights = how.weights
    if weights == "pretrained":
        weights = tables.location.uri(f"{tables.pretrained}/{NETWORK}")
    return Started(make, how.network, weights, tables.project.s3)


def _examples(
    tables: Tables, how: Optimization, targets: Targets, seed: int | None = None
) -> TableExamples:
    paired = isinstance(how, Pretraining) and how.method == "simclr"
    paired = paired or (isinstance(how, Training) and how.consistency is not None)
    return TableExamples(
        tables.inputs_of(how),
        tables.input_shards(how),
        targets,
        how.batch_size if seed is not None else max(256, how.batch_size),
        seed,
        how.augment if seed is not None else None,
        2 if paired and seed is not None else 1,
        how.loader_threads,
    )


def _targets(tables: Tables, network: Network) -> Targets:
    how = network.how
    (kind,) = how.labels
    labels = column(tables, network.labels) if network.labels else _labels(tables, kind)
    targets = Targets(
        tuple(tables.project.classes),
        network.splits,
        kind,
        labels,
        network.parts,
        how.confidence_threshold,
        how.consistency is not None and how.consistency.unlabeled,
        (how.label_smoothing, how.smoothing_form),
        None,
        how.weight_by_confidence,
    )
    if how.class_weights is None:
        return targets
    plain = replace(targets, smoothing=(0.0, "uniform"))
    totals_K = sum(_totals(plain, tables, shard) for shard in tables.shards)
    weights_K = doors.room("training.labels").class_weights(totals_K, how.class_weights)
    return replace(targets, class_weights=tuple(map(float, weights_K)))


def _totals(targets: Targets, tables: Tables, shard: int) -> np.ndarray:
    targets_NK, weights_N, mine_N = targets.read(tables.location, shard)
    return np.asarray(targets_NK[mine_N & (weights_N > 0)].sum(axis=0))


def _labels(tables: Tables, kind: str) -> Column | None:
    return None if kind == "original" else column(tables, tables.labels)


def column(tables: Tables, derived: Derived) -> Column:
    """Let one shard of a group table be read at a time."""
    files = {work.key // GROUP_SIZE: work.name for work in derived.works}
    return Column(tables.location, derived.table.folder, files)


def _card(tables: Tables, network: Network) -> dict[str, Any]:
    how, project = network.how, tables.project
    settings = how.model_dump(mode="json", exclude={"variants", "labels"})
    feature = project.features[how.feature].model_dump(mode="json")
    return {
        "name": network.name,
        "classes": project.classes,
        "labels": how.labels[0],
        "network": how.network,
        "input": {"feature": feature, "preprocess": settings.pop("preprocess")},
        "training": settings,
        "fingerprint": network.folder.rpartition("-")[2],
    }


@dataclass(frozen=True)
class ModelHome:
    """Keeps networks in the folders of a workspace; a network's file is the last to appear."""

    location: Location

    def is_done(self, run: Any) -> bool:
        """Tell whether a network is trained."""
        return self.location.exists(f"{run.folder}/{NETWORK}")

    def store(self, run: Any) -> "Checkpoints":
        """Give the place of a run's checkpoints."""
        return Checkpoints(self.location, f"{run.folder}/checkpoints")

    def finish(
        self, run: Any, network: bytes, history: list[dict[str, float]], best_epoch: int
    ) -> None:
        """Keep a network with its card, and forget its checkpoints."""
        card = run.card | {"history": history, "best_epoch": best_epoch}
        card["metrics"] = history[best_epoch - 1] if best_epoch else {}
        data = json.dumps(card, sort_keys=True, indent=1).encode()
        self.location.create(f"{run.folder}/{CARD}", data)
        self.location.create(f"{run.folder}/{NETWORK}", network)
        self.store(run).forget()

    def log(self, run: Any, record: dict[str, float]) -> None:
        """Write what TensorBoard shows, one file per epoch, and tell those who were asked for."""
        records = doors.room("training.records")
        epoch = int(record["epoch"])
        events = records.tensorboard_events(record)
        self.location.create(f"{run.folder}/tensorboard/{epoch:05d}.tfevents", events)
        for logger in run.option("loggers", []):
            records.tell(logger, run.name, run.folder, run.card, record)


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of one network: the last one, and the one before until it is there."""

    location: Location
    folder: str

    def latest(self) -> dict[str, Any] | None:
        """Give the newest checkpoint."""
        names = [entry.path for entry in self.location.files(self.folder)]
        if not names:
            return None
        data = self.location.read(f"{self.folder}/{names[-1]}").to_pybytes()
        found: dict[str, Any] = doors.room("training.records").unpack(data)
        return found

    def keep(self, epoch: int, state: dict[str, Any]) -> None:
        """Keep a checkpoint, and forget those before it."""
        sink = io.BytesIO()
        doors.room("training.records").pack(state, sink)
        name = f"{epoch:05d}.pt"
        self.location.create(f"{self.folder}/{name}", sink.getvalue())
        self.forget(but=name)

    def forget(self, but: str | None = None) -> None:
        """Remove all checkpoints, or all but one."""
        for entry in self.location.files(self.folder):
            if entry.path != but:
                self.location.delete(f"{self.folder}/{entry.path}")
