"""How votes become labels, and how networks learn from them."""

import importlib.util
import math
from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from wslabel.errors import nearest
from wslabel.settings.base import NAME, Fraction, Precision, Settings, refuse
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


LABELS = ("original", "soft", "hard")
Labels = Literal["original", "soft", "hard"]


class Augmentations(Settings):
    """How training images are changed at random, anew in every epoch.

    `rotation` is in degrees to either side; `zoom` enlarges by up to that share, and shrinks by it;
    `crop` shows a random part of at least that share of the area; `brightness`, `contrast` and
    `saturation` change by up to that share, `hue` by that share of the color circle; `grayscale` is
    the share of images that lose their colors.
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
            `cnn`, three small convolutions trained from nothing, or torchvision's or timm's.
        weights: starts the network from a checkpoint, or from its library's DEFAULT, or from what
            this project's `pretraining` made (`pretrained`); null starts it from random numbers.
        batch_size: of all workers together; an epoch is cut into equal batches of at most that.
        schedule: of the learning rate: to zero along a `cosine`, a tenth when validation gets no
            better for three epochs (`plateau`), or `constant`.
        batch_norm: over the batch of all workers (`synced`), of each worker (`local`), or as the
            checkpoint has it (`frozen`).
        precision: of GPUs; `auto` is bfloat16 on a GPU that has it, and float32 on a CPU.
        compile: whether torch.compile prepares the network.
        workers: how many train together; `[least, most]` lets the group shrink and grow.
        loader_threads: that decode and augment ahead of each worker's training step.
        max_failures: how often dead workers are replaced before the run gives up.
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

    @field_validator("network")
    @classmethod
    def _known_network(cls, value: str) -> str:
        if value in ("linear", "cnn") or value.partition("/")[0] in ("torchvision", "timm"):
            return value
        raise refuse(f"expected linear, cnn, torchvision/NAME or timm/NAME, found '{value}'")

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
    def least_workers(self) -> int:
        """How many workers the group has at least."""
        return self.workers if isinstance(self.workers, int) else self.workers[0]

    @property
    def most_workers(self) -> int:
        """How many workers the group has when nothing is missing."""
        return self.workers if isinstance(self.workers, int) else self.workers[1]


WHERE_IT_RUNS = {
    "workers",
    "use_gpu",
    "gpus_per_worker",
    "cpus_per_worker",
    "loader_threads",
    "max_failures",
    "compile",
    "loggers",
}
"""Keys that change where and how fast a network is trained: networks apart in these are taken for
the same. What is drawn in training (dropout, mixing) still depends on the number of workers."""


class Consistency(Settings):
    """Two augmentations of an image shall get the same answer.

    `sum` adds the losses of both; `kl` and `mse` also punish that they differ, by up to `weight`,
    which is reached after `ramp_up_epochs`. Where images without a label have a say (`unlabeled`),
    only their differing counts.
    """

    kind: Literal["sum", "kl", "mse"] = "kl"
    weight: float = Field(1.0, gt=0.0)
    ramp_up_epochs: int = Field(0, ge=0)
    unlabeled: bool = False


class Training(Optimization):
    """Networks trained on truth (`original`) and on weak labels (`soft`, `hard`), and variants.

    Attributes:
        labels: one network is trained per kind of label named here.
        variants: more networks by name, each with what differs from the keys here; its `labels` is
            one of original, soft, hard.
        validate_on: whose labels of the validation split choose the best epoch; null keeps the
            last.
        select_by: what is best: the loss, or a metric.
        patience: epochs without a better one after which training stops.
        loss: over all classes at once, or each class for itself.
        label_smoothing: the share of the label that is spread over all classes (`uniform`) or over
            the other classes (`others`).
        confidence_threshold: images whose weak label is less probable are left out.
        model_confidence_threshold: images that the network itself is less sure of do not count.
        weight_by_confidence: whether an image counts as much as its label is probable.
        class_weights: `balanced` by the inverse of a class's share, or `effective` by its effective
            number of images (Cui et al. 2019).
        mixup: strength alpha of mixing pairs of images (Zhang et al. 2018).
        cutmix: strength alpha of pasting parts of images (Yun et al. 2019).
        consistency: of two augmentations of each image.
        freeze_epochs: in which only the head is trained.
        body_learning_rate: of all but the head, as a share of `learning_rate`.
        loggers: that are told beside TensorBoard.
    """

    labels: list[Labels] = ["original", "soft", "hard"]
    variants: dict[str, dict[str, Any]] = {}
    validate_on: Literal["truth", "weak"] | None = None
    select_by: Literal["loss", "accuracy", "macro_f1", "roc_auc"] = "loss"
    patience: int | None = Field(None, ge=1)
    loss: Literal["cross_entropy", "binary_cross_entropy"] = "cross_entropy"
    label_smoothing: float = Field(0.0, ge=0.0, lt=1.0)
    smoothing_form: Literal["uniform", "others"] = "uniform"
    confidence_threshold: Fraction = 0.0
    model_confidence_threshold: Fraction = 0.0
    weight_by_confidence: bool = False
    class_weights: Literal["balanced", "effective"] | None = None
    mixup: float = Field(0.0, ge=0.0)
    cutmix: float = Field(0.0, ge=0.0)
    consistency: Consistency | None = None
    freeze_epochs: int = Field(0, ge=0)
    body_learning_rate: float = Field(1.0, ge=0.0)
    loggers: list[Literal["mlflow", "wandb"]] = []

    @field_validator("loggers")
    @classmethod
    def _are_installed(cls, value: list[str]) -> list[str]:
        for name in value:
            if importlib.util.find_spec(name) is None:
                raise refuse(f"{name} is not installed; pip install 'wslabel[{name}]'")
        return value

    @field_validator("labels", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: object) -> object:
        return [value] if isinstance(value, str) else value

    @field_validator("labels")
    @classmethod
    def _some_once(cls, value: list[str]) -> list[str]:
        if not value or len(set(value)) != len(value):
            raise refuse(f"name at least one of original, soft, hard, each once, found {value}")
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.validate_on is None:
            for key, value in (("patience", self.patience), ("schedule", self.schedule)):
                if value in (None, "cosine", "constant"):
                    continue
                raise refuse(f"{key}: {value} needs validate_on: truth or weak")
            if self.select_by != "loss":
                raise refuse(f"select_by: {self.select_by} needs validate_on: truth or weak")
        if self.consistency is not None and self.augment is None:
            raise refuse("consistency: needs augment, or both views of an image are the same")
        if self.consistency is not None and (self.mixup or self.cutmix):
            raise refuse("consistency: of an image, there is none where images are mixed")
        for name in self.variants:
            self.variant(name)
        return self

    @property
    def names(self) -> list[str]:
        """Name the networks that are trained, one per kind of label and one per variant."""
        return [*self.labels, *self.variants]

    def variant(self, name: str) -> "Training":
        """Give the settings of one network, whose `labels` is its one kind of label."""
        alone: dict[str, Any] = {"labels": [name], "variants": {}}
        if name in self.labels:
            return self.model_copy(update=alone)
        return self.changed(f"variants.{name}", name, self.variants[name])

    def changed(self, where: str, name: str, changes: Mapping[str, Any]) -> "Training":
        """Give the settings with some changed, checked as a whole."""
        if name in LABELS or not NAME.fullmatch(name):
            raise refuse(f"{where}: expected a name of letters, digits and _ that is no label")
        for key in changes:
            if key in WHERE_IT_RUNS or key == "variants":
                raise refuse(f"{where}: '{key}' is the same for all networks")
        labels = changes.get("labels")
        if labels not in LABELS:
            raise refuse(f"{where}.labels: expected one of {', '.join(LABELS)}, found {labels!r}")
        own = {k: getattr(self, k) for k in self.model_fields_set} | {"variants": {}}
        try:
            return type(self).model_validate(own | dict(changes))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            key = ".".join([where, *(str(part) for part in first["loc"])])
            raise refuse(f"{key}: {first['msg']}") from None


class Pretraining(Optimization):
    """A network that learns from images alone, to start `training` from (`weights: pretrained`).

    Attributes:
        method: `rotation` tells by how many quarters an image was turned (Gidaris et al. 2018);
            `simclr` finds the other view of the same image among all others (Chen et al. 2020).
        splits: whose images it sees.
        temperature: of SimCLR's similarities.
        projection_dim: of the space in which SimCLR compares.
        probe: whether the body's features are probed with a linear head, beside a random body's.
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


class SelfTraining(Settings):
    """Rounds in which a network's own out-of-fold predictions correct its labels.

    Attributes:
        variant: the network whose settings all rounds use, each from a fresh start.
        folds: the number of parts; every image is judged by a network that has not learned from it.
        rounds: the most there are; they end earlier when validation gets no better.
        threshold: predictions that are less probable change nothing.
        quota: the largest share of each class's predictions that may be taken, the surest first.
        agreement: whether only predictions are taken that agree with the label model, or that judge
            images without a label.
        given_weight: the share w of the given label in w * given + (1 - w) * predicted.
        patience: rounds without a better one before they end.
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
        seeds: how many times each network is trained.
        folds: the number of parts that are held out in turn; null tests on the test split.
        reference: the network that all others are compared with.
        self_training: whether the network of the last round of `self_training` is compared too.
    """

    seeds: int = Field(5, ge=1)
    folds: int | None = Field(None, ge=2, le=100)
    reference: str | None = None
    self_training: bool = False


def check_reference(where: str, name: str, names: list[str]) -> None:
    """Refuse a network that is none of those trained."""
    if name not in names:
        raise refuse(f"{where}: there is no network '{name}'; {nearest(name, names)}")
