"""A whole project: its sections and the checks that need more than one of them."""

from typing import Self

from pydantic import Field, field_validator, model_validator

from wslabel.errors import nearest
from wslabel.settings.base import S3, Fraction, Settings, refuse
from wslabel.settings.features import Classifier, Feature
from wslabel.settings.images import Images
from wslabel.settings.learning import (
    Comparison,
    LabelModel,
    Optimization,
    Pretraining,
    SelfTraining,
    Training,
    check_reference,
)
from wslabel.settings.votes import PatternVote, PythonVote, SimilarityVote, Vote


class Engine(Settings):
    """How the work is spread; what is null follows from what the cluster has.

    Up to `driver_groups` groups of cheap work (votes, labels, evaluation, predictions of a linear
    head) are done in the driver itself, which spares a laptop the start of Ray.
    """

    address: str | None = None
    actors: int | None = Field(None, ge=1)
    cpus_per_actor: float | None = Field(None, gt=0.0)
    gpus_per_actor: float | None = Field(None, ge=0.0)
    batch_size: int = Field(32, ge=1, le=4096)
    fetch_threads: int = Field(16, ge=1, le=256)
    max_pixels: int = Field(178_956_970, ge=1)
    max_error_share: Fraction = 0.2
    driver_groups: int = Field(2, ge=0)

    @field_validator("gpus_per_actor")
    @classmethod
    def _share_or_whole(cls, value: float | None) -> float | None:
        if value is not None and value > 1.0 and not value.is_integer():
            raise refuse(f"expected a share of one GPU or a whole number of them, found {value:g}")
        return value


class Project(Settings):
    """One labeling project: what a YAML file under `configs/` says."""

    workspace: str
    classes: list[str] = Field(min_length=2, max_length=127)
    images: Images
    features: dict[str, Feature]
    labeling_functions: list[Vote] = []
    label_model: LabelModel = LabelModel()
    pretraining: Pretraining | None = None
    training: Training | None = None
    self_training: SelfTraining | None = None
    comparison: Comparison = Comparison()
    engine: Engine = Engine()
    s3: S3 = S3()

    @field_validator("classes")
    @classmethod
    def _unique_classes(cls, value: list[str]) -> list[str]:
        if len(set(value)) != len(value):
            raise refuse("a class is named twice")
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        self._check_truth()
        for index, vote in enumerate(self.labeling_functions):
            self._check_vote(f"labeling_functions[{index}] ({vote.name})", vote)
        names = [vote.name for vote in self.labeling_functions]
        for name in names:
            if names.count(name) > 1:
                raise refuse(f"labeling_functions: '{name}' is named twice")
        if names and self.label_model.kind == "snorkel" and len(names) < 3:
            raise refuse(
                f"label_model: snorkel needs at least 3 labeling functions, found {len(names)}; "
                "add some or use kind: majority"
            )
        self._check_training()
        return self

    def _check_truth(self) -> None:
        classes = self.images.classes or {}
        for name in classes:
            self._check_class("images.classes", name)
        owns = [o for own in classes.values() for o in ([own] if isinstance(own, str) else own)]
        for own in owns:
            if owns.count(own) > 1:
                raise refuse(f"images.classes: '{own}' is named twice")
        balance = self.label_model.class_balance
        if balance is not None and len(balance) != len(self.classes):
            raise refuse(
                f"label_model.class_balance: expected {len(self.classes)} numbers, "
                f"found {len(balance)}"
            )

    def _check_class(self, where: str, name: str) -> None:
        if name not in self.classes:
            raise refuse(f"{where}: unknown class '{name}'; {nearest(name, self.classes)}")

    def _check_feature(self, where: str, name: str, kind: str | None) -> None:
        fitting = [n for n, f in self.features.items() if kind is None or f.kind == kind]
        if name not in fitting:
            what = f"no {kind or ''} feature".replace("  ", " ")
            raise refuse(f"{where}: there is {what} named '{name}'; {nearest(name, fitting)}")

    def _check_vote(self, where: str, vote: Vote) -> None:
        if isinstance(vote, PythonVote):
            for name in vote.features:
                self._check_feature(f"{where}.features", name, None)
            return
        for name in vote.classes():
            self._check_class(where, name)
        if isinstance(vote, PatternVote | SimilarityVote) and vote.says_absent:
            self._check_absent(where, vote)
        if isinstance(vote, PatternVote):
            return
        self._check_feature(f"{where}.feature", vote.feature, vote.feature_kind)
        feature = self.features[vote.feature]
        if isinstance(feature, Classifier) and not feature.top_k:
            raise refuse(f"{where}.feature: '{vote.feature}' stores no categories (top_k: 0)")

    def _check_absent(self, where: str, vote: PatternVote | SimilarityVote) -> None:
        """Where there are two classes, the absence of one is the other."""
        if len(self.classes) > 2:
            key = "invert" if vote.invert else "absent_below"
            raise refuse(
                f"{where}.{key}: that '{vote.class_}' is absent says which class it is only in a "
                f"project of two classes, found {len(self.classes)}"
            )

    def _check_training(self) -> None:
        if self.pretraining is not None:
            self._check_network("pretraining", self.pretraining)
        training = self.training
        if training is None:
            if self.self_training is not None:
                raise refuse("self_training: there is no training to repeat")
            return
        self._check_loops(training)
        for name in training.names:
            where = f"training.variants.{name}" if name in training.variants else "training"
            one = training.variant(name)
            weak = one.labels != ["original"] or one.validate_on == "weak"
            if weak and not self.labeling_functions:
                raise refuse(f"{where}.labels: soft and hard need labeling_functions")
            if one.weights == "pretrained":
                self._check_pretrained(where, one)
            self._check_network(where, one)

    def _check_loops(self, training: Training) -> None:
        if self.self_training is not None:
            name = self.self_training.variant
            check_reference("self_training.variant", name, training.names)
            if training.variant(name).labels == ["original"]:
                raise refuse(f"self_training.variant: '{name}' learns from truth, not weak labels")
        if self.comparison.self_training and self.self_training is None:
            raise refuse("comparison.self_training: needs a section 'self_training'")
        if self.comparison.reference is not None:
            check_reference("comparison.reference", self.comparison.reference, training.names)

    def _check_pretrained(self, where: str, training: Training) -> None:
        if self.pretraining is None:
            raise refuse(f"{where}.weights: pretrained needs a section 'pretraining'")
        if self.pretraining.network != training.network:
            raise refuse(
                f"{where}.network: {training.network} cannot start from a pretrained "
                f"{self.pretraining.network}"
            )

    def _check_network(self, section: str, how: Optimization) -> None:
        where = f"{section}.feature"
        if how.network == "linear" and how.weights is not None:
            raise refuse(f"{section}.weights: a linear head starts from random numbers")
        if how.network == "cnn" and how.weights == "DEFAULT":
            raise refuse(f"{section}.weights: a cnn has no DEFAULT")
        if how.network != "linear":
            self._check_feature(where, how.feature, "thumbnail")
            return
        for key in ("augment", "mixup", "cutmix"):
            if getattr(how, key, None):
                raise refuse(f"{section}.{key}: there are no images to change in embeddings")
        embedded = {
            name: f
            for name, f in self.features.items()
            if f.kind == "clip" or (f.kind == "classifier" and f.embedding)
        }
        if how.feature not in embedded:
            raise refuse(
                f"{where}: '{how.feature}' stores no embedding; {nearest(how.feature, embedded)}"
            )
