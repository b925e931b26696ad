"""How networks learn from labels."""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from wslabel.config.base import Fraction, Settings, refuse
from wslabel.config.extras import absence
from wslabel.config.names import network_name
from wslabel.config.optimization import NO_FILE, Optimization
from wslabel.config.paths import existing

LABELS = ("original", "soft", "hard")
Labels = Literal["original", "soft", "hard"]

WHERE_IT_RUNS = {
    "workers",
    "use_gpu",
    "gpus_per_worker",
    "cpus_per_worker",
    "loader_threads",
    "max_failures",
    "checkpoint_every_s",
    "compile",
    "loggers",
}
"""Keys that change where and how fast a network is trained, not which network comes out.

Networks that differ in these alone are taken for the same. What is drawn in training (dropout,
mixing) still depends on the number of workers.
"""


class Consistency(Settings):
    """Two augmentations of an image shall get the same answer.

    Attributes:
        kind: `sum` adds the losses of both; `kl` and `mse` also punish that they differ.
        weight: What a difference counts beside the loss of the labels.
        ramp_up_epochs: Epochs after which the full weight is reached; 0 starts with it.
        unlabeled: Whether images without a label have a say; of them only differences count.
    """

    kind: Literal["sum", "kl", "mse"] = "kl"
    weight: float = Field(1.0, gt=0.0)
    ramp_up_epochs: int = Field(0, ge=0)
    unlabeled: bool = False


class Training(Optimization):
    """Networks trained on truth (`original`) and on weak labels (`soft`, `hard`), and variants.

    Attributes:
        labels: Kinds of label, for each of which one network is trained: truth (`original`), or
            weak labels as probabilities (`soft`) or as their most probable class (`hard`).
        variants: More networks by name, each with the keys that differ from those here; its
            `labels` is one of original, soft, hard.
        validate_on: Labels of the validation split that choose the best epoch, `truth` or `weak`;
            null keeps the last epoch.
        select_by: Figure of validation that makes one epoch better than another.
        patience: Epochs without a better one after which training stops; null never stops early.
        loss: Loss of a label: over all classes at once (`cross_entropy`), or of each class for
            itself (`binary_cross_entropy`).
        label_smoothing: Share of each label that is spread over the classes.
        smoothing_form: Classes that it is spread over: all (`uniform`) or the `others`.
        confidence_threshold: Least probability of a weak label; images below it are left out.
        model_confidence_threshold: Least probability of the network's own answer; images below it
            do not count in a step.
        weight_by_confidence: Whether an image counts as much as its label is probable.
        class_weights: Weights of rare classes: `balanced` by the inverse of a class's share, or
            `effective` by its effective number of images (Cui et al. 2019); null for none.
        mixup: Strength alpha of mixing pairs of images (Zhang et al. 2018); 0 for none.
        cutmix: Strength alpha of pasting parts of images (Yun et al. 2019); 0 for none.
        consistency: Agreement of two augmentations of each image; null asks for none.
        freeze_epochs: Epochs in which only the head is trained.
        body_learning_rate: Learning rate of all but the head, as a share of `learning_rate`.
        loggers: Trackers that are told of each epoch beside TensorBoard: mlflow, wandb.
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
            sentence = absence(name)
            if sentence is not None:
                raise refuse(sentence)
        return value

    @field_validator("variants")
    @classmethod
    def _weights_of_variants_are_there(
        cls, value: dict[str, dict[str, Any]], info: ValidationInfo
    ) -> dict[str, dict[str, Any]]:
        return {name: _with_weights(name, changes, info) for name, changes in value.items()}

    @field_validator("variants")
    @classmethod
    def _names_of_variants(cls, value: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        for name in value:
            network_name(name)
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
        if name in LABELS:
            raise refuse(f"{where}: expected a name that is no kind of label")
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


def _with_weights(name: str, changes: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
    """Resolve the path of a variant's weights, which is no field of its own until it is applied."""
    weights = changes.get("weights")
    if not isinstance(weights, str) or weights in NO_FILE:
        return changes
    try:
        return changes | {"weights": existing(weights, info)}
    except PydanticCustomError as error:
        problem = InitErrorDetails(type=error, loc=(name, "weights"), input=weights)
        raise ValidationError.from_exception_data("variants", [problem]) from None
