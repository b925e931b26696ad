"""How a network learns from images alone."""

from typing import Literal, Self

from pydantic import Field, model_validator

from wslabel.config.base import refuse
from wslabel.config.optimization import Optimization


class Pretraining(Optimization):
    """A network that learns from images alone, to start `training` from (`weights: pretrained`).

    Attributes:
        method: `rotation` tells by how many quarters an image was turned (Gidaris et al. 2018);
            `simclr` finds the other view of the same image among all others (Chen et al. 2020).
        network: `cnn`, or torchvision/NAME or timm/NAME.
        splits: Splits whose images it sees.
        temperature: Temperature of SimCLR's similarities.
        projection_dim: Dimensions of the space in which SimCLR compares.
        probe: Labels that a linear probe of the body learns from, `truth` or `weak`; a random
            body's features are probed beside it. Null leaves it out.
    """

    method: Literal["rotation", "simclr"] = "simclr"
    network: str = "cnn"
    splits: list[Literal["train", "val", "test"]] = ["train"]
    temperature: float = Field(0.5, gt=0.0)
    projection_dim: int = Field(64, ge=2)
    probe: Literal["truth", "weak"] | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.network == "linear":
            raise refuse("network: a linear head has no body to pretrain")
        if self.weights == "pretrained":
            raise refuse("weights: pretraining cannot start from itself")
        if self.schedule == "plateau":
            raise refuse("schedule: plateau watches validation, and pretraining has none")
        if self.method == "simclr" and self.augment is None:
            raise refuse("augment: is missing; simclr learns from two augmentations of an image")
        return self
