"""What goes around the story more than once: comparisons and self-training."""

from pydantic import Field

from wslabel.config.base import Fraction, Settings, refuse
from wslabel.errors import nearest


class SelfTraining(Settings):
    """Rounds in which a network's own out-of-fold predictions correct its labels.

    Attributes:
        variant: Name of the network whose settings all rounds use, each from a fresh start.
        folds: Number of parts; every image is judged by a network that has not learned from it.
        rounds: Most rounds; they end earlier when validation gets no better.
        threshold: Least probability of a prediction that changes a label.
        quota: Largest share of each class's predictions that may be taken, the surest first.
        agreement: Whether only predictions are taken that agree with the label model, or that judge
            images without a label.
        given_weight: Share w of the given label in w * given + (1 - w) * predicted.
        patience: Rounds without a better one before they end.
        seed: Seed of the folds.
    """

    variant: str = "soft"
    folds: int = Field(5, ge=2, le=100)
    rounds: int = Field(5, ge=1)
    threshold: Fraction = 0.9
    quota: Fraction = 1.0
    agreement: bool = False
    given_weight: Fraction = 0.5
    patience: int = Field(1, ge=1)
    seed: int = 0


class Comparison(Settings):
    """How fairly networks are compared: over seeds, on the test split or on all folds in turn.

    Attributes:
        seeds: Number of times that each network is trained.
        folds: Number of parts that are held out in turn; null judges on the test split.
        reference: Name of the network that all others are compared with; null for the first.
        self_training: Whether the network of the last round of `self_training` is compared too.
    """

    seeds: int = Field(5, ge=1)
    folds: int | None = Field(None, ge=2, le=100)
    reference: str | None = None
    self_training: bool = False


def check_reference(where: str, name: str, names: list[str]) -> None:
    """Refuse a network that is none of those trained."""
    if name not in names:
        raise refuse(f"{where}: there is no network '{name}'; {nearest(name, names)}")
