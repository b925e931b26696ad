"""A whole project: its sections and the checks that need more than one of them."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import Field, field_validator, model_validator

from wslabel.config.base import S3, Settings, refuse, shortened
from wslabel.config.engine import Engine
from wslabel.config.experiments import Comparison, SelfTraining, check_reference
from wslabel.config.names import folder_name
from wslabel.config.optimization import Optimization
from wslabel.config.paths import AnyPath
from wslabel.config.pretraining import Pretraining
from wslabel.config.training import Training
from wslabel.errors import nearest
from wslabel.features.feature import FeatureConfig
from wslabel.features.registry import FEATURES
from wslabel.label_model.label_model import LabelModelConfig
from wslabel.label_model.registry import LABEL_MODELS
from wslabel.label_model.snorkel import SnorkelConfig
from wslabel.labeling.labeling_function import FeatureFacts, LFConfig, Outline, place_of
from wslabel.labeling.registry import LABELING_FUNCTIONS
from wslabel.sources.registry import SOURCES
from wslabel.sources.source import SourceConfig


class Project(Settings):
    """One labeling project: what a YAML file under `configs/` says.

    Attributes:
        workspace: Local folder or s3:// prefix in which all tables live.
        classes: Class names; their order gives the class ids.
        images: Where the images come from and how they are drawn into shards and splits.
        features: What is computed of every image once, by name.
        labeling_functions: Functions of the features that vote for classes.
        label_model: How votes become probabilities.
        pretraining: A network that learns from images alone; null for none.
        training: Networks that learn from the labels; null for none.
        self_training: Rounds in which a network's own predictions correct its labels.
        comparison: How networks are compared.
        engine: How the work is spread over a cluster.
        s3: How to reach the workspace on S3.
    """

    workspace: AnyPath
    classes: list[str] = Field(min_length=2, max_length=127)
    images: Annotated[SourceConfig, SOURCES]
    features: dict[str, Annotated[FeatureConfig, FEATURES]]
    labeling_functions: list[Annotated[LFConfig, LABELING_FUNCTIONS]] = []
    label_model: Annotated[LabelModelConfig, LABEL_MODELS] = SnorkelConfig()
    pretraining: Pretraining | None = None
    training: Training | None = None
    self_training: SelfTraining | None = None
    comparison: Comparison = Comparison()
    engine: Engine = Engine()
    s3: S3 = S3()

    @model_validator(mode="before")
    @classmethod
    def _default_kinds(cls, values: object) -> object:
        if not isinstance(values, dict):
            return values
        values = dict(values)
        if isinstance(values.get("features"), dict):
            values["features"] = {
                name: _with_kind(feature, name) for name, feature in values["features"].items()
            }
        elif values.get("features") is None:
            values["features"] = {}
        if isinstance(values.get("label_model"), dict):
            values["label_model"] = {"kind": "snorkel"} | values["label_model"]
        return values

    @field_validator("features", mode="before")
    @classmethod
    def _by_name(cls, value: object) -> object:
        if not isinstance(value, dict):
            raise refuse(f"expected features by name, found {shortened(value)}")
        for name in value:
            folder_name(str(name))
        return value

    @field_validator("classes")
    @classmethod
    def _unique_classes(cls, value: list[str]) -> list[str]:
        if len(set(value)) != len(value):
            raise refuse("a class is named twice")
        return value

    @property
    def outline(self) -> Outline:
        """Give what labeling functions may name."""
        facts = {
            name: FeatureFacts(kind=feature.kind, stores_categories=feature.stores_categories)
            for name, feature in self.features.items()
        }
        return Outline(self.classes, facts, self.images.metadata_columns)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        self._check_truth()
        self._check_metadata()
        self._check_functions()
        self.label_model.check(len(self.labeling_functions), len(self.classes))
        if self.pretraining is not None:
            self._check_network("pretraining", self.pretraining)
        if self.training is not None:
            self._check_training(self.training)
        elif self.self_training is not None:
            raise refuse("self_training: there is no training to repeat")
        return self

    def _check_truth(self) -> None:
        classes: Mapping[str, Any] = self.images.classes or {}
        for name in classes:
            self.outline.check_class("images.classes", name)
        named = [n for own in classes.values() for n in ([own] if isinstance(own, str) else own)]
        for name in named:
            if named.count(name) > 1:
                raise refuse(f"images.classes: '{name}' is named twice")

    def _check_metadata(self) -> None:
        for name in self.images.metadata_columns or ():
            feature, _ = place_of(name, self.features)
            if feature is not None:
                raise refuse(
                    f"images.metadata: '{name}' would be taken for a column of the feature "
                    f"'{feature}'; rename the column in the file, or the feature"
                )

    def _check_functions(self) -> None:
        for index, function in enumerate(self.labeling_functions):
            where = f"labeling_functions[{index}] ({function.name})"
            function.check(where, self.outline)
        names = [function.name for function in self.labeling_functions]
        for name in names:
            if names.count(name) > 1:
                raise refuse(f"labeling_functions: '{name}' is named twice")

    def _check_training(self, training: Training) -> None:
        self._check_experiments(training)
        for name in training.names:
            where = f"training.variants.{name}" if name in training.variants else "training"
            network = training.variant(name)
            is_weak = network.labels != ["original"] or network.validate_on == "weak"
            if is_weak and not self.labeling_functions:
                raise refuse(f"{where}.labels: soft and hard need labeling_functions")
            if network.weights == "pretrained":
                self._check_pretrained(where, network)
            self._check_network(where, network)

    def _check_experiments(self, training: Training) -> None:
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

    def _check_network(self, section: str, settings: Optimization) -> None:
        if settings.network == "linear" and settings.weights is not None:
            raise refuse(f"{section}.weights: a linear head starts from random numbers")
        if settings.network == "cnn" and settings.weights == "DEFAULT":
            raise refuse(f"{section}.weights: a cnn has no DEFAULT")
        if settings.network != "linear":
            self.outline.check_feature(f"{section}.feature", settings.feature, "thumbnail")
            return
        for key in ("augment", "mixup", "cutmix"):
            if getattr(settings, key, None):
                raise refuse(f"{section}.{key}: there are no images to change in embeddings")
        embedded = [name for name, feature in self.features.items() if feature.stores_embedding]
        if settings.feature not in embedded:
            raise refuse(
                f"{section}.feature: '{settings.feature}' stores no embedding; "
                f"{nearest(settings.feature, embedded)}"
            )


def _with_kind(feature: object, name: str) -> object:
    """Let a feature that has the name of a kind leave its kind out."""
    if feature is None:
        feature = {}
    if not isinstance(feature, dict) or "kind" in feature:
        return feature
    return feature | {"kind": name if name in FEATURES else None}
