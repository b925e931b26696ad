"""What a comparison finds: networks scored over seeds, and each against a reference."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import TypeAdapter
from scipy.stats import ttest_1samp

from wslabel.experiments.held_out import Key
from wslabel.report.judging import Answers, judge
from wslabel.report.presentation import Estimate, Interval

SCORES = ("accuracy", "macro_f1", "roc_auc", "calibration_error", "negative_log_likelihood")
LEVEL = 0.95


@dataclass(frozen=True)
class Difference:
    """Mean difference in accuracy to the reference, over the same images.

    Attributes:
        interval: The mean with the ends of its confidence interval.
        p_value: Probability of such a difference between equals; None where no image differs.
    """

    interval: Interval
    p_value: float | None


@dataclass(frozen=True, kw_only=True)
class ComparedNetwork:
    """One network over all its seeds.

    Attributes:
        name: Name of the network.
        num_seeds: Fresh starts that it was trained from.
        num_images: Images that it was judged on.
        scores: Mean and spread over seeds of each of `SCORES`; None where it has no value.
        accuracies: Accuracy of each seed.
        difference: How it differs from the reference; None for the reference itself.
    """

    name: str
    num_seeds: int
    num_images: int
    scores: Mapping[str, Estimate | None]
    accuracies: tuple[float, ...]
    difference: Difference | None

    @property
    def accuracy(self) -> float:
        """Mean accuracy over seeds."""
        estimate = self.scores["accuracy"]
        assert estimate is not None
        return estimate.mean


@dataclass(frozen=True)
class NetworkComparison:
    """Several networks, judged on the same images; stored as `reports/comparison-….json`.

    Attributes:
        reference: Name of the network that the others are compared with.
        networks: The networks, in the order of the project.
    """

    reference: str
    networks: tuple[ComparedNetwork, ...]

    def to_json(self) -> dict[str, Any]:
        """Give it as plain values."""
        return {"reference": self.reference, "rows": [_to_row(own) for own in self.networks]}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> "NetworkComparison":
        """Read plain values."""
        return NetworkComparison(str(data["reference"]), tuple(map(_from_row, data["rows"])))


def _to_row(network: ComparedNetwork) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": network.name,
        "seeds": network.num_seeds,
        "images": network.num_images,
        "accuracies": list(network.accuracies),
    }
    for name, estimate in network.scores.items():
        row[name] = None if estimate is None else estimate.mean
        row[f"{name}_sd"] = None if estimate is None else estimate.sd
    if network.difference is not None:
        interval = network.difference.interval
        row |= {"difference": interval.mean, "low": interval.low, "high": interval.high}
        row["p_value"] = network.difference.p_value
    return row


def _from_row(row: Mapping[str, Any]) -> ComparedNetwork:
    difference = None
    if "difference" in row:
        interval = {"mean": row["difference"], "low": row["low"], "high": row["high"]}
        difference = {"interval": interval, "p_value": row["p_value"]}
    values = {
        "name": row["name"],
        "num_seeds": row["seeds"],
        "num_images": row["images"],
        "scores": {
            name: None if row[name] is None else {"mean": row[name], "sd": row[f"{name}_sd"]}
            for name in SCORES
        },
        "accuracies": row["accuracies"],
        "difference": difference,
    }
    return _NETWORK.validate_python(values)


_NETWORK = TypeAdapter(ComparedNetwork)


def compared(answers: Mapping[Key, Answers], reference: str, num_classes: int) -> NetworkComparison:
    """Score networks over seeds, and compare each with a reference on the same images.

    A network is right on an image as often as over the seeds. Whether two differ is told by a
    paired t-test over the images (Student 1908), with the confidence interval of the mean
    difference in accuracy; images on which a network says nothing are wrong.
    """
    names = list(dict.fromkeys(name for name, _ in answers))
    by_name = {name: [own for (key, _), own in answers.items() if key == name] for name in names}
    right = {name: _right(by_name[name]) for name in names}
    networks = []
    for name in names:
        judged = [judge(own, num_classes) for own in by_name[name]]
        is_reference = name == reference
        networks.append(
            ComparedNetwork(
                name=name,
                num_seeds=len(judged),
                num_images=len(right[name]),
                scores={
                    score: _estimate([getattr(own, score) for own in judged]) for score in SCORES
                },
                accuracies=tuple(own.accuracy for own in judged),
                difference=None if is_reference else paired(right[name] - right[reference]),
            )
        )
    return NetworkComparison(reference, tuple(networks))


def _right(answers: list[Answers]) -> np.ndarray:
    """Tell how often, over seeds, a network is right on each image."""
    right = [
        ~np.isnan(own.probs_NK[:, 0]) & (own.probs_NK.argmax(axis=1) == own.truth_N)
        for own in answers
    ]
    return np.asarray(np.mean(right, axis=0))


def _estimate(values: list[float | None]) -> Estimate | None:
    known = [value for value in values if value is not None]
    if not known:
        return None
    return Estimate(float(np.mean(known)), float(np.std(known, ddof=1)) if len(known) > 1 else None)


def paired(difference_N: np.ndarray) -> Difference:
    """Give mean, confidence interval and p-value of a difference over images."""
    mean = float(difference_N.mean()) if len(difference_N) else 0.0
    if len(difference_N) < 2 or not difference_N.any():
        return Difference(Interval(mean, mean, mean), None)
    test = ttest_1samp(difference_N, 0.0)
    low, high = test.confidence_interval(LEVEL)
    return Difference(Interval(mean, float(low), float(high)), float(test.pvalue))
