"""What self-training finds: its rounds."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from wslabel.experiments.pseudo_labels import Tally

TESTED = ("accuracy", "macro_f1", "roc_auc")


@dataclass(frozen=True, kw_only=True)
class Round:
    """One round.

    Attributes:
        number: Number of the round; 0 has the label model's own labels.
        network: File of the network that learned from its labels.
        score: What validation says of the network, the higher the better; None without validation.
        validation: Figures of the validation split by name, each beginning with `validation_`.
        test: Figures of the test split, and `num_images`; None where no image has a truth.
        labels: What the round did to the labels; None for round 0.
    """

    number: int
    network: str
    score: float | None
    validation: Mapping[str, float]
    test: Mapping[str, float | None]
    labels: Tally | None

    def to_json(self) -> dict[str, Any]:
        """Give it as plain values."""
        labels = None if self.labels is None else asdict(self.labels)
        plain = {name: getattr(self, name) for name in ("network", "score")}
        figures = {"validation": dict(self.validation), "test": dict(self.test)}
        return {"round": self.number, "labels": labels, **plain, **figures}


@dataclass(frozen=True)
class Rounds:
    """The rounds of one project; stored as `reports/self-training-….json`.

    Attributes:
        rounds: The rounds in their order.
        best: Number of the round that validation likes best.
    """

    rounds: tuple[Round, ...]
    best: int

    @property
    def best_network(self) -> str:
        """File of the network of the best round."""
        return self.rounds[self.best].network

    def to_json(self) -> dict[str, Any]:
        """Give it as plain values."""
        rounds = [own.to_json() for own in self.rounds]
        return {"rounds": rounds, "best": self.best, "best_network": self.best_network}
