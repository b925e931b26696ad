"""What the stage evaluate finds: how labeling functions, labels and predictions meet the truth.

The values of one file, `reports/evaluation-….json`, whose layout is older than these classes.

Shape legend: N images, K classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from wslabel.metrics import ClassScore, mean_f1
from wslabel.schema import SPLITS

LABELS = {"label": "label model", "majority_label": "majority vote"}
"""Kinds of labels by their columns in the labels table."""

Json = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class Performance:
    """How labels or predictions compare with the truth of one split.

    Attributes:
        num_images: Images that have both a truth and a label.
        coverage: Share of the images with a truth that have a label; None without such images.
        accuracy: Share of the right ones among `num_images`.
        classes: Scores of each class, in the order of ids.
        confusion_KK: Images by true (row) and labeled (column) class.
        roc_auc: Mean area under the ROC curves of the classes; None where it was not measured.
        calibration_error: Expected calibration error; None where it was not measured.
        negative_log_likelihood: Mean of -log p(truth); None where it was not measured.
    """

    num_images: int
    coverage: float | None
    accuracy: float
    classes: tuple[ClassScore, ...]
    confusion_KK: np.ndarray
    roc_auc: float | None = None
    calibration_error: float | None = None
    negative_log_likelihood: float | None = None

    @property
    def macro_f1(self) -> float:
        """Mean F1 over the classes that occur in truth; 0 where none does."""
        return mean_f1(self.classes)

    def to_json(self) -> dict[str, Any]:
        """Give it as plain values."""
        plain = {name: getattr(self, name) for name in PERFORMANCE}
        classes = [asdict(score) for score in self.classes]
        confusion = self.confusion_KK.tolist()
        return plain | {"classes": classes, "confusion": confusion, "macro_f1": self.macro_f1}

    @staticmethod
    def from_json(data: Json) -> "Performance":
        """Read plain values, those of older versions too, which measured less of labels."""
        classes = _SCORES.validate_python(data["classes"])
        confusion_KK = np.array(data["confusion"], np.int64)
        if confusion_KK.shape != (len(classes), len(classes)):
            raise ValueError(f"confusion of shape {confusion_KK.shape} for {len(classes)} classes")
        figures = {name: data.get(name) for name in PERFORMANCE}
        figures |= {"num_images": int(data["num_images"]), "accuracy": float(data["accuracy"])}
        return Performance(
            classes=classes, confusion_KK=confusion_KK, **_FIGURES.validate_python(figures)
        )


PERFORMANCE = (
    *("num_images", "coverage", "accuracy"),
    *("roc_auc", "calibration_error", "negative_log_likelihood"),
)
"""Fields that are stored as they are."""


_SCORES = TypeAdapter(tuple[ClassScore, ...])
_FIGURES: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, int | float | None])


@dataclass(frozen=True, kw_only=True)
class FunctionScore:
    """One labeling function, as in Snorkel's summary.

    Attributes:
        name: Name of the labeling function.
        polarity: Ids of the classes that it voted for.
        classes: Names of the classes that it voted for.
        coverage: Share of the images that it voted on.
        overlaps: Share of the images that it and another one voted on.
        conflicts: Share of the images that it voted on, with votes for several classes.
        correct: Votes that equal the truth; None if no truth is known.
        incorrect: Votes that differ from the truth; None if no truth is known.
        empirical_accuracy: Share of the correct among both; None if no truth is known, and 0, as
            in Snorkel, if it voted on no image with known truth.
    """

    name: str
    polarity: tuple[int, ...]
    classes: tuple[str, ...]
    coverage: float
    overlaps: float
    conflicts: float
    correct: int | None
    incorrect: int | None
    empirical_accuracy: float | None

    @property
    def accuracy(self) -> float | None:
        """Share of its votes that are right; None where none of them meets a known truth."""
        return self.empirical_accuracy if self.correct or self.incorrect else None


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Everything that the stage evaluate finds of a project.

    Attributes:
        classes: Names of the classes, in the order of ids.
        num_truths: Images whose truth is known; 0 without labeling functions.
        functions: Labeling functions, in the order of their votes.
        labels: Performance by kind of label (see `LABELS`) and split.
        networks: Performance on the test split by name of the network.
    """

    classes: tuple[str, ...]
    num_truths: int = 0
    functions: tuple[FunctionScore, ...] = ()
    labels: Mapping[str, Mapping[str, Performance]] = field(default_factory=dict)
    networks: Mapping[str, Performance] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Give it as plain values, laid out as evaluations always were."""
        data: dict[str, Any] = {"classes": list(self.classes)}
        if self.functions:
            data["labeling_functions"] = [asdict(score) for score in self.functions]
            data["num_truths"] = self.num_truths
        for kind, splits in self.labels.items():
            data[kind] = {split: found.to_json() for split, found in splits.items()}
        data["networks"] = {name: {"test": p.to_json()} for name, p in self.networks.items()}
        return data

    @staticmethod
    def from_json(data: Json, networks: Sequence[str] = ()) -> "Evaluation":
        """Read plain values.

        Args:
            data: What `to_json` gave, of an older version too.
            networks: Names of networks in the order in which to show them; JSON has them sorted.
        """
        order = {name: number for number, name in enumerate(networks)}
        judged = sorted(data["networks"], key=lambda name: order.get(name, len(order)))
        return Evaluation(
            classes=tuple(map(str, data["classes"])),
            num_truths=int(data.get("num_truths", 0)),
            functions=tuple(_function(row) for row in data.get("labeling_functions", ())),
            labels={
                kind: {
                    split: Performance.from_json(data[kind][split])
                    for split in SPLITS
                    if split in data[kind]
                }
                for kind in LABELS
                if kind in data
            },
            networks={
                name: Performance.from_json(data["networks"][name]["test"]) for name in judged
            },
        )

    def best_function(self) -> FunctionScore | None:
        """Find the labeling function that alone is right most often; None without any truth."""
        judged = [score for score in self.functions if score.correct and self.num_truths]
        return max(judged, key=lambda score: score.correct or 0, default=None)


def _function(row: Json) -> FunctionScore:
    return _FUNCTION.validate_python(row)


_FUNCTION = TypeAdapter(FunctionScore)
