"""How votes become labels, and how networks learn from them."""

import math
from typing import Literal

from pydantic import Field, field_validator

from wslabel.settings.base import Settings, refuse
from wslabel.settings.features import Preprocess


class LabelModel(Settings):
    """How votes become probabilities; the majority vote is always stored beside."""

    kind: Literal["snorkel", "majority"] = "snorkel"
    epochs: int = Field(500, ge=1)
    learning_rate: float = Field(0.01, gt=0.0)
    l2: float = Field(0.0, ge=0.0)
    optimizer: Literal["sgd", "adam", "adamax"] = "sgd"
    seed: int = 123
    class_balance: list[float] | None = None

    @field_validator("class_balance")
    @classmethod
    def _is_distribution(cls, value: list[float] | None) -> list[float] | None:
        if value is None or (min(value, default=0.0) > 0.0 and math.isclose(sum(value), 1.0)):
            return value
        raise refuse(f"expected shares above 0 that add up to 1, found {value}")


Labels = Literal["original", "soft", "hard"]


class Augmentations(Settings):
    """How training images are changed at random, anew in every epoch.

    `rotation` is in degrees to either side; `zoom` enlarges by up to that share, and shrinks by it.
    """

    horizontal_flip: bool = True
    vertical_flip: bool = False
    rotation: float = Field(0.0, ge=0.0, le=180.0)
    zoom: float = Field(0.0, ge=0.0, lt=1.0)


class Training(Settings):
    """A network trained on truth (`original`) and on weak labels (`soft`, `hard`).

    `network: linear` reads the embedding in `feature`; any other reads the thumbnails in it: `cnn`,
    three small convolutions trained from nothing, or one of torchvision's or timm's.
    `weights` starts a network from a checkpoint, or from its library's DEFAULT; null starts it from
    random numbers.
    """

    network: str = "linear"
    feature: str
    labels: list[Labels] = ["original", "soft", "hard"]
    weights: str | None = None
    preprocess: Preprocess = Preprocess()
    augment: Augmentations | None = None
    epochs: int = Field(20, ge=1)
    batch_size: int = Field(64, ge=1)
    learning_rate: float = Field(0.001, gt=0.0)
    weight_decay: float = Field(1e-4, ge=0.0)
    seed: int = 0
    validate_on: Literal["truth", "weak"] | None = None
    workers: int = Field(1, ge=1)
    use_gpu: bool = False

    @field_validator("labels")
    @classmethod
    def _some_once(cls, value: list[str]) -> list[str]:
        if not value or len(set(value)) != len(value):
            raise refuse(f"name at least one of original, soft, hard, each once, found {value}")
        return value

    @field_validator("network")
    @classmethod
    def _known_network(cls, value: str) -> str:
        if value in ("linear", "cnn") or value.partition("/")[0] in ("torchvision", "timm"):
            return value
        raise refuse(f"expected linear, cnn, torchvision/NAME or timm/NAME, found '{value}'")
