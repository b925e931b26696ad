"""Evaluate: compare votes, labels and, on the test split, predictions with truth."""

import operator
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import reduce
from typing import ClassVar

import numpy as np
import pyarrow as pa

from wslabel import schema
from wslabel.columns import to_array
from wslabel.engine.execute import Placement, execute
from wslabel.engine.step import ItemResult
from wslabel.labeling import analysis
from wslabel.metrics import confusion
from wslabel.project.project import Project
from wslabel.report import evaluation_sections
from wslabel.report.evaluation import LABELS, Evaluation, FunctionScore, Performance
from wslabel.report.judging import Answers, HardLabels, judge, judge_labels
from wslabel.report.presentation import Presentation
from wslabel.report.statistics import added
from wslabel.stages.result import StageResult
from wslabel.storage.location import Location
from wslabel.workspace.evaluation_files import (
    EvaluationFiles,
    evaluation_files,
    read_evaluation,
    read_path,
)
from wslabel.workspace.images import class_ids, read_images, votes_matrix
from wslabel.workspace.requirements import require_labels, require_predictions
from wslabel.workspace.workspace import Workspace

PROBABILITIES = {"label": "probabilities", "majority_label": "majority_probabilities"}
"""Column of the soft labels by the column of the hard ones."""


@dataclass(frozen=True, kw_only=True)
class EvaluateResult(StageResult):
    """What was found of a project.

    Attributes:
        evaluation: How labeling functions, labels and networks compare with truth.
    """

    stage: ClassVar[str] = "evaluate"
    evaluation: Evaluation

    def presentation(self) -> Presentation:
        """Lay it out."""
        return evaluation_sections.presentation(self.evaluation)


def run(workspace: Workspace) -> EvaluateResult:
    """Compare labeling functions, labels and, on the test split, predictions with truth.

    Raises:
        WorkLeft: Labels or predictions are missing.
    """
    start = time.monotonic()
    require_labels(workspace)
    is_made = workspace.location.exists(workspace.evaluation)
    if not is_made:
        require_predictions(workspace)
        made = _evaluation(workspace.project, _findings(workspace))
        workspace.write_json(workspace.evaluation, made.to_json())
    evaluation = read_evaluation(workspace)
    seconds = time.monotonic() - start
    return EvaluateResult(made=int(not is_made), total=1, seconds=seconds, evaluation=evaluation)


def _findings(workspace: Workspace) -> "Findings":
    step = EvaluateStep(workspace.location, tuple(workspace.project.classes))
    groups, engine = evaluation_files(workspace), workspace.project.engine
    results = execute(engine, "evaluate", step, groups, placement=Placement.TASKS)
    return reduce(operator.add, (result.value for result in results), Findings())


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What one or more groups show; adds up over groups.

    Attributes:
        counts: Votes of the labeling functions; None without any.
        labels: Hard labels by kind and split.
        soft_labels: Probabilities of the test split by kind of label.
        networks: Probabilities of the test split by network.
    """

    counts: analysis.VoteCounts | None = None
    labels: Mapping[tuple[str, str], HardLabels] = field(default_factory=dict)
    soft_labels: Mapping[str, Answers] = field(default_factory=dict)
    networks: Mapping[str, Answers] = field(default_factory=dict)

    def __add__(self, other: "Findings") -> "Findings":
        counts = self.counts or other.counts
        if self.counts is not None and other.counts is not None:
            counts = analysis.merge(self.counts, other.counts)
        return Findings(
            counts=counts,
            labels=added(self.labels, other.labels),
            soft_labels=added(self.soft_labels, other.soft_labels),
            networks=added(self.networks, other.networks),
        )


@dataclass(frozen=True)
class EvaluateStep:
    """The step: compare a group's votes, labels and predictions with truth.

    Attributes:
        location: Root of the workspace.
        classes: Class names in the order of their ids.
    """

    location: Location
    classes: tuple[str, ...]

    def __call__(self, item: EvaluationFiles) -> ItemResult:
        """Evaluate a group."""
        images = read_images(self.location, item.shards, ["split", schema.TRUTH])
        truth_N = class_ids(images.column(schema.TRUTH), self.classes)
        split_N = images.column("split").to_numpy()
        findings = Findings()
        if item.votes is not None:
            votes_NM = votes_matrix(read_path(self.location, item.votes))
            findings += Findings(counts=analysis.count(votes_NM, truth_N, len(self.classes)))
        if item.labels is not None:
            labels = read_path(self.location, item.labels)
            findings += self._labels(labels, truth_N, split_N)
        networks = {}
        for name, path in item.predictions.items():
            table = read_path(self.location, path, ["probabilities"])
            networks[name] = _tested(table.column(0), truth_N, split_N)
        return ItemResult(
            item=item.key, num_images=len(truth_N), value=findings + Findings(networks=networks)
        )

    def _labels(self, labels: pa.Table, truth_N: np.ndarray, split_N: np.ndarray) -> Findings:
        counted = {}
        for kind in LABELS:
            label_N = to_array(labels.column(kind))
            for split in schema.SPLITS:
                mine_N = split_N == split
                counted[kind, split] = self._counted(truth_N[mine_N], label_N[mine_N])
        soft_labels = {
            kind: _tested(labels.column(column), truth_N, split_N)
            for kind, column in PROBABILITIES.items()
        }
        return Findings(labels=counted, soft_labels=soft_labels)

    def _counted(self, truth_N: np.ndarray, label_N: np.ndarray) -> HardLabels:
        known_N = truth_N >= 0
        both_N = known_N & (label_N >= 0)
        confusion_KK = confusion(truth_N[both_N], label_N[both_N], len(self.classes))
        return HardLabels(int(known_N.sum()), confusion_KK)


def _tested(column: pa.ChunkedArray, truth_N: np.ndarray, split_N: np.ndarray) -> Answers:
    """Take the probabilities of the images of the test split whose truth is known."""
    tested_N = (split_N == "test") & (truth_N >= 0)
    return Answers(truth_N[tested_N], to_array(column)[tested_N])


def _evaluation(project: Project, findings: Findings) -> Evaluation:
    """Turn counts into figures."""
    counts, num_classes = findings.counts, len(project.classes)
    return Evaluation(
        classes=tuple(project.classes),
        num_truths=0 if counts is None else counts.num_truths,
        functions=() if counts is None else _functions(project, counts),
        labels=_judged(findings),
        networks={name: judge(own, num_classes) for name, own in findings.networks.items()},
    )


def _functions(project: Project, counts: analysis.VoteCounts) -> tuple[FunctionScore, ...]:
    names = [settings.name for settings in project.labeling_functions]
    rows = analysis.table(counts, names, project.classes)
    return tuple(FunctionScore(**asdict(row)) for row in rows)


def _judged(findings: Findings) -> dict[str, dict[str, Performance]]:
    judged: dict[str, dict[str, Performance]] = {}
    for (kind, split), labels in findings.labels.items():
        answers = findings.soft_labels.get(kind) if split == "test" else None
        judged.setdefault(kind, {})[split] = judge_labels(labels, answers)
    return judged
