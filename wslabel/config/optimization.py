"""What all training has in common: the network, its inputs, its steps, its workers."""

from typing import Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from wslabel.config.base import Fraction, Precision, Settings, refuse
from wslabel.config.paths import existing
from wslabel.config.preprocess import Preprocess

NO_FILE = (None, "DEFAULT", "pretrained")
"""Starts of a network that are no checkpoint of the user's."""


class Augmentations(Settings):
    """How training images are changed at random, anew in every epoch.

    Attributes:
        horizontal_flip: Whether half of the images are flipped left to right.
        vertical_flip: Whether half of the images are flipped upside down.
        rotation: Largest turn to either side, in degrees.
        zoom: Largest share by which an image is enlarged or shrunk.
        crop: Least share of an image's area that a random crop of it shows; 1 shows all.
        brightness: Largest share by which brightness changes.
        contrast: Largest share by which contrast changes.
        saturation: Largest share by which the strength of colors changes.
        hue: Largest turn of the colors, as a share of the color circle.
        grayscale: Share of the images that lose their colors.
    """

    horizontal_flip: bool = True
    vertical_flip: bool = False
    rotation: float = Field(0.0, ge=0.0, le=180.0)
    zoom: float = Field(0.0, ge=0.0, lt=1.0)
    crop: float = Field(1.0, gt=0.0, le=1.0)
    brightness: Fraction = 0.0
    contrast: Fraction = 0.0
    saturation: Fraction = 0.0
    hue: float = Field(0.0, ge=0.0, le=0.5)
    grayscale: Fraction = 0.0


class Optimization(Settings):
    """What all training has in common, supervised or not: the network, its steps, its workers.

    Attributes:
        network: `linear` reads the embedding in `feature`; any other reads the thumbnails in it:
            `cnn`, three small convolutions trained from nothing, or torchvision/NAME or timm/NAME.
        feature: Name of the feature that the network reads.
        weights: What the network starts from: a checkpoint (a path or an s3:// uri), its library's
            `DEFAULT`, or what this project's `pretraining` made (`pretrained`); null starts from
            random numbers.
        preprocess: How a thumbnail becomes the network's input; a linear head needs none.
        augment: Random changes of the training images; null leaves them as they are.
        epochs: Number of times that all training images are learned from.
        batch_size: Images per step, of all workers together; the last steps of an epoch share what
            is left.
        learning_rate: Learning rate of AdamW after warming up.
        weight_decay: Weight decay of AdamW.
        schedule: Course of the learning rate: to zero along a `cosine`, a tenth when validation
            gets no better for three epochs (`plateau`), or `constant`.
        warmup_epochs: Epochs before which the learning rate rises to its full height.
        seed: Seed of the first weights, the order of images, and all other chance.
        batch_norm: Images that batch normalization takes its statistics of: the batch of all
            workers (`synced`) or of each worker (`local`); `frozen` keeps the checkpoint's.
        precision: Precision of the computation: float32, bfloat16 or float16; `auto` is bfloat16
            with `use_gpu`, and float32 without. GPUs older than Ampere are fast in float16 only.
        compile: Whether torch.compile prepares the network.
        workers: Number of workers that train together; `[least, most]` lets the group shrink and
            grow.
        use_gpu: Whether workers train on GPUs.
        gpus_per_worker: GPUs that each worker reserves; less than 1 only for a worker alone.
        cpus_per_worker: CPUs that each worker reserves.
        loader_threads: Threads that decode and augment ahead of each worker's training step.
        max_failures: Number of times that dead workers are replaced before the run gives up.
        checkpoint_every_s: Seconds after which a checkpoint is kept within an epoch, too; null
            keeps one after each epoch alone.
    """

    network: str = "linear"
    feature: str
    weights: str | None = None
    preprocess: Preprocess = Preprocess()
    augment: Augmentations | None = None
    epochs: int = Field(20, ge=1)
    batch_size: int = Field(64, ge=1)
    learning_rate: float = Field(0.001, gt=0.0)
    weight_decay: float = Field(1e-4, ge=0.0)
    schedule: Literal["cosine", "plateau", "constant"] = "cosine"
    warmup_epochs: int = Field(0, ge=0)
    seed: int = 0
    batch_norm: Literal["synced", "local", "frozen"] = "synced"
    precision: Precision = "auto"
    compile: bool = False
    workers: int | tuple[int, int] = 1
    use_gpu: bool = False
    gpus_per_worker: float = Field(1.0, gt=0.0)
    cpus_per_worker: float = Field(1.0, gt=0.0)
    loader_threads: int = Field(2, ge=1, le=64)
    max_failures: int = Field(3, ge=0)
    checkpoint_every_s: float | None = Field(600.0, gt=0.0)

    @field_validator("network")
    @classmethod
    def _known_network(cls, value: str) -> str:
        if value in ("linear", "cnn") or value.partition("/")[0] in ("torchvision", "timm"):
            return value
        raise refuse(f"expected linear, cnn, torchvision/NAME or timm/NAME, found '{value}'")

    @field_validator("weights")
    @classmethod
    def _weights_are_there(cls, value: str | None, info: ValidationInfo) -> str | None:
        return value if value is None or value in NO_FILE else existing(value, info)

    @field_validator("workers")
    @classmethod
    def _some_workers(cls, value: int | tuple[int, int]) -> int | tuple[int, int]:
        least, most = (value, value) if isinstance(value, int) else value
        if 1 <= least <= most:
            return value
        raise refuse(f"expected at least one worker, or [least, most], found {value}")

    @model_validator(mode="after")
    def _one_gpu_each(self) -> Self:
        if self.use_gpu and self.gpus_per_worker < 1 and self.most_workers > 1:
            raise refuse(
                f"gpus_per_worker: {self.gpus_per_worker:g} would put two of the group's workers "
                "on one GPU, which NCCL refuses; write 1, or workers: 1"
            )
        return self

    @property
    def computed_precision(self) -> str:
        """Precision that is computed in, on whatever machine: it is part of a network's name."""
        if self.precision != "auto":
            return self.precision
        return "bfloat16" if self.use_gpu else "float32"

    @property
    def least_workers(self) -> int:
        """Number of workers that the group has at least."""
        return self.workers if isinstance(self.workers, int) else self.workers[0]

    @property
    def most_workers(self) -> int:
        """Number of workers that the group has when nothing is missing."""
        return self.workers if isinstance(self.workers, int) else self.workers[1]
