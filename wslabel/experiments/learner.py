"""One network's way through the rounds of self-training: who judges, and how labels are corrected.

Rounds of one project go by validation, in `self_train`; here those of many networks at once, in a
comparison.
"""

import operator
from collections.abc import Sequence
from dataclasses import asdict
from functools import reduce

import numpy as np

from wslabel.config.fingerprint import fingerprint, named
from wslabel.config.training import Training
from wslabel.engine.execute import Placement, execute
from wslabel.experiments.folds import by_label
from wslabel.experiments.pseudo_labels import (
    CandidatesStep,
    CorrectStep,
    RoundInputs,
    Tally,
    cuts,
)
from wslabel.stages.predict.predict import predict_networks
from wslabel.stages.train.train import train_networks
from wslabel.workspace.constants import as_a
from wslabel.workspace.groups import GroupTable
from wslabel.workspace.networks import Network
from wslabel.workspace.shard_reader import FoldPart, shard_reader
from wslabel.workspace.workspace import Workspace

NOT_IN_LABELS = {"variant", "folds", "rounds", "patience", "seed"}
"""Settings of self-training that the labels of a round hang on through its networks, if at all."""


class Learner:
    """A network's settings and images, from which rounds of labels and networks follow."""

    def __init__(
        self,
        workspace: Workspace,
        training: Training,
        outer: tuple[FoldPart, ...] = (),
        splits: tuple[str, ...] = ("train",),
    ) -> None:
        """Name the folds within the images learned from, which are drawn if they are not yet.

        Args:
            workspace: Tables of the project.
            training: Settings of all its networks.
            outer: Parts in which the images are that are learned from.
            splits: Splits whose images these are.
        """
        assert workspace.project.self_training is not None
        self._workspace, self._settings = workspace, workspace.project.self_training
        self._training, self._outer, self._splits = training, outer, splits
        folds = by_label(workspace, self._settings.folds, self._settings.seed)
        numbers = range(self._settings.folds)
        self._inner = [FoldPart(folds, number, is_held=False) for number in numbers]

    def network(self, number: int, labels: GroupTable) -> Network:
        """Name the network of a round."""
        return self._named(f"round {number}", number, labels, ())

    def judges(self, number: int, labels: GroupTable) -> list[Network]:
        """Name the networks that judge what they have not learned from."""
        return [
            self._named(f"round {number} without fold {part.fold}", number, labels, (part,))
            for part in self._inner
        ]

    def _named(
        self, name: str, number: int, labels: GroupTable, inner: tuple[FoldPart, ...]
    ) -> Network:
        own = None if number == 0 else labels  # round 0 is that of the label model
        parts = (*self._outer, *inner)
        return self._workspace.network(name, self._training, own, parts, self._splits)

    def corrected(self, before: GroupTable, judges: Sequence[Network]) -> tuple[GroupTable, Tally]:
        """Make the labels of the next round."""
        workspace, settings = self._workspace, self._settings
        predictions = [workspace.predictions(judge) for judge in judges]
        tables = (workspace.labels, before, *predictions)
        states = [[table.table.folder, table.state] for table in tables]
        identity = fingerprint(states, named(settings, NOT_IN_LABELS))
        corrected = workspace.derived(f"pseudo_labels/{identity}")
        inputs = RoundInputs(
            location=workspace.location,
            given=shard_reader(workspace.labels),
            before=shard_reader(before),
            predictions=tuple(map(shard_reader, predictions)),
            settings=settings,
            splits=self._splits,
        )
        name = f"tally-{corrected.table.folder.rpartition('/')[2]}"
        tally = workspace.constants.get(name, as_a(Tally))
        if tally is None or corrected.missing:
            made = asdict(self._correct(inputs, corrected))
            tally = workspace.constants.keep(name, made, as_a(Tally))
        return workspace.derived(corrected.table.folder), tally

    def _correct(self, inputs: RoundInputs, corrected: GroupTable) -> Tally:
        engine, classes = self._workspace.project.engine, tuple(self._workspace.project.classes)
        step = CorrectStep(
            inputs=inputs,
            cuts=self._cuts(inputs, corrected, len(classes)),
            output=corrected.table.folder,
            classes=classes,
        )
        results = execute(engine, "correct", step, corrected.items, placement=Placement.TASKS)
        return reduce(operator.add, (result.value for result in results), Tally())

    def _cuts(
        self, inputs: RoundInputs, corrected: GroupTable, num_classes: int
    ) -> tuple[float, ...]:
        """Find the confidence from which on predictions of each class are taken."""
        if self._settings.quota == 1.0:
            return (0.0,) * num_classes
        engine, step = self._workspace.project.engine, CandidatesStep(inputs)
        results = execute(engine, "choose", step, corrected.items, placement=Placement.TASKS)
        parts = zip(*(result.value for result in results), strict=True)
        label_N, confidence_N = (np.concatenate(part) for part in parts)
        cut_K = cuts(label_N, confidence_N, num_classes, self._settings.quota)
        return tuple(map(float, cut_K))


def last_networks(workspace: Workspace, learners: Sequence[Learner]) -> list[Network]:
    """Go through all rounds with several learners at once, and give the network of each's last.

    There is no validation: where images are held out in turn, none are left for it.
    """
    assert workspace.project.self_training is not None
    labels = [workspace.labels] * len(learners)
    for number in range(workspace.project.self_training.rounds):
        judges = [
            learner.judges(number, own) for learner, own in zip(learners, labels, strict=True)
        ]
        networks = [network for of_learner in judges for network in of_learner]
        train_networks(workspace, networks)
        predict_networks(workspace, networks)
        labels = [
            learner.corrected(own, of_learner)[0]
            for learner, own, of_learner in zip(learners, labels, judges, strict=True)
        ]
    last = workspace.project.self_training.rounds
    return [learner.network(last, own) for learner, own in zip(learners, labels, strict=True)]
