"""One group of shards against truth: votes, labels, and predictions on the test split."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from wslabel import schema
from wslabel.columns import to_array
from wslabel.engine.work import Receipt
from wslabel.labeling import analysis
from wslabel.metrics import (
    calibration_error,
    confusion,
    macro_f1,
    negative_log_likelihood,
    roc_auc,
    scores,
)
from wslabel.settings import Project
from wslabel.steps.group import read_images
from wslabel.steps.label import class_ids, votes_matrix
from wslabel.steps.tables import Tables
from wslabel.storage.location import Location
from wslabel.storage.table import Table


@dataclass(frozen=True)
class Quality:
    """How labels compare with truth: images with truth, those labeled, and the confusion."""

    num_truths: int
    confusion_KK: np.ndarray

    def __add__(self, other: "Quality") -> "Quality":
        total = self.num_truths + other.num_truths
        return Quality(total, self.confusion_KK + other.confusion_KK)


@dataclass(frozen=True)
class Answers:
    """What a network says of the test images whose truth is known."""

    truth_N: np.ndarray
    probs_NK: np.ndarray

    def __add__(self, other: "Answers") -> "Answers":
        truth_N = np.concatenate([self.truth_N, other.truth_N])
        return Answers(truth_N, np.concatenate([self.probs_NK, other.probs_NK]))


@dataclass(frozen=True)
class Findings:
    """What one or more groups show; adds up over groups."""

    counts: analysis.Counts | None = None
    quality: Mapping[str, Quality] = field(default_factory=dict)
    answers: Mapping[str, Answers] = field(default_factory=dict)

    def __add__(self, other: "Findings") -> "Findings":
        counts = self.counts or other.counts
        if self.counts is not None and other.counts is not None:
            counts = analysis.merge(self.counts, other.counts)
        return Findings(
            counts, _each(self.quality, other.quality), _each(self.answers, other.answers)
        )


def _each(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Add up what stands under the same name."""
    added = dict(one)
    for name, value in other.items():
        added[name] = added[name] + value if name in added else value
    return added


@dataclass(frozen=True)
class Files:
    """The files of one group: of votes and labels where there are any, and of predictions."""

    key: int
    shards: tuple[int, ...]
    votes: str | None
    labels: str | None
    predictions: Mapping[str, str]


@dataclass(frozen=True)
class Evaluate:
    """The step: compare a group's votes, labels and predictions with truth."""

    workspace: Location
    classes: tuple[str, ...]

    def prepare(self, item: Files, *, isolated: bool) -> None:
        """Do nothing: all is in finish."""

    def finish(self, item: Files, prepared: None) -> Receipt:
        """Evaluate a group."""
        images = read_images(self.workspace, item.shards, ["split", schema.TRUTH])
        truth_N = class_ids(images.column(schema.TRUTH), self.classes)
        split_N = images.column("split").to_numpy()
        counts, quality = None, {}
        if item.votes is not None:
            votes_NM = votes_matrix(self._read(item.votes))
            counts = analysis.count(votes_NM, truth_N, len(self.classes))
        if item.labels is not None:
            labels = self._read(item.labels)
            for kind in ("label", "majority_label"):
                found_N = to_array(labels.column(kind))
                for split in schema.SPLITS:
                    mine = split_N == split
                    quality[f"{kind}/{split}"] = self._quality(truth_N[mine], found_N[mine])
        answers = {}
        for name, path in item.predictions.items():
            probs_NK = to_array(self._read(path).column("probabilities"))
            judged = (split_N == "test") & (truth_N >= 0)
            answers[name] = Answers(truth_N[judged].astype(int), probs_NK[judged])
        return Receipt(item.key, len(truth_N), result=Findings(counts, quality, answers))

    def _read(self, path: str) -> pa.Table:
        folder, _, name = path.rpartition("/")
        return Table(self.workspace, folder).read(name)

    def _quality(self, truth_N: np.ndarray, found_N: np.ndarray) -> Quality:
        true = truth_N >= 0
        both = true & (found_N >= 0)
        counted = confusion(truth_N[both].astype(int), found_N[both].astype(int), len(self.classes))
        return Quality(int(true.sum()), counted)


def evaluation_works(tables: Tables) -> list[Files]:
    """List the groups of a project with the files to compare."""
    derived = [(name, tables.predictions(n)) for name, n in tables.networks.items()]
    votes = tables.votes if tables.project.labeling_functions else None
    labels = tables.labels if tables.project.labeling_functions else None
    whole = (votes.works if votes else None) or (derived[0][1].works if derived else [])
    return [
        Files(
            work.key,
            work.shards,
            votes.table.path(votes.works[i].name) if votes else None,
            labels.table.path(labels.works[i].name) if labels else None,
            {name: d.table.path(d.works[i].name) for name, d in derived},
        )
        for i, work in enumerate(whole)
    ]


def report_of(project: Project, findings: Findings) -> dict[str, Any]:
    """Turn counts into the figures that a person reads, as plain values."""
    report: dict[str, Any] = {"classes": project.classes}
    if findings.counts is not None:
        names = [settings.name for settings in project.labeling_functions]
        rows = analysis.table(findings.counts, names, project.classes)
        report["labeling_functions"] = [asdict(row) for row in rows]
        report["num_truths"] = findings.counts.num_truths
    for key, quality in findings.quality.items():
        kind, _, split = key.partition("/")
        found = asdict(scores(quality.confusion_KK))
        coverage = found["num_images"] / quality.num_truths if quality.num_truths else None
        more = {"coverage": coverage, "confusion": quality.confusion_KK.tolist()}
        report.setdefault(kind, {})[split] = found | more
    report["networks"] = {
        name: {"test": judge(found, len(project.classes))}
        for name, found in findings.answers.items()
    }
    return report


def judge(answers: Answers, num_classes: int) -> dict[str, Any]:
    """Score what a network says of images whose truth is known; it says nothing of some."""
    said_N = ~np.isnan(answers.probs_NK[:, 0])
    truth_N, probs_NK = answers.truth_N[said_N], answers.probs_NK[said_N]
    confusion_KK = confusion(truth_N, probs_NK.argmax(axis=1), num_classes)
    return asdict(scores(confusion_KK)) | {
        "coverage": float(said_N.mean()) if len(said_N) else None,
        "confusion": confusion_KK.tolist(),
        "macro_f1": macro_f1(truth_N, probs_NK.argmax(axis=1), num_classes),
        "roc_auc": roc_auc(truth_N, probs_NK),
        "calibration_error": calibration_error(truth_N, probs_NK),
        "negative_log_likelihood": negative_log_likelihood(truth_N, probs_NK),
    }


def best_function(evaluation: Mapping[str, Any]) -> str | None:
    """Name the labeling function that alone is right most often, None where truth is unknown."""
    judged = [r for r in evaluation.get("labeling_functions", ()) if r["correct"] is not None]
    if not judged or not evaluation["num_truths"]:
        return None
    best = max(judged, key=lambda row: row["correct"])
    share = best["correct"] / evaluation["num_truths"]
    return f"{best['name']}, right on {share:.4f} of the images with truth (abstentions are wrong)"
