"""Classifier feature: the top categories of a torchvision or timm network, and its embedding."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import pyarrow as pa
from pydantic import Field, ValidationInfo, field_validator, model_validator

from wslabel import schema
from wslabel.config.base import Settings, refuse
from wslabel.config.fingerprint import named
from wslabel.config.paths import ExistingPath, existing
from wslabel.config.preprocess import Preprocess
from wslabel.errors import WeightsError
from wslabel.features.feature import NOT_IN_IDENTITY, FeatureModel, NetworkFeatureConfig
from wslabel.features.model_info import ModelInfo


class Categories(Settings):
    """A text file with one category name per line, in the order of the network's outputs.

    Attributes:
        file: Path or s3:// uri of the text file.
        skip_lines: Lines at its top that are no category, such as a background class.
    """

    file: ExistingPath
    skip_lines: int = Field(0, ge=0)


class ClassifierConfig(NetworkFeatureConfig):
    """A torchvision or timm classifier: its top categories and, when asked, its embedding.

    Attributes:
        kind: classifier.
        model: torchvision/NAME or timm/NAME, as the library calls the network.
        model_options: Arguments that the library builds the network with.
        categories: Names of the outputs, as a list or a file; null takes those that the library
            knows for its DEFAULT weights.
        preprocess: How an image becomes the network's input; null takes what the library knows for
            its DEFAULT weights.
        top_k: Categories stored of each image, the most probable first; 0 stores none.
        embedding: Whether the input of the last linear layer is stored.
    """

    kind: Literal["classifier"]
    model: str = "torchvision/efficientnet_b0"
    model_options: dict[str, Any] = {}
    categories: list[str] | Categories | None = None
    preprocess: Preprocess | None = None
    top_k: int = Field(5, ge=0, le=100)
    embedding: bool = False

    version: ClassVar[int] = 2

    @field_validator("model")
    @classmethod
    def _has_library(cls, value: str) -> str:
        if value.partition("/")[0] not in ("torchvision", "timm") or "/" not in value:
            raise refuse(f"expected torchvision/NAME or timm/NAME, found '{value}'")
        return value

    @field_validator("weights")
    @classmethod
    def _weights_are_there(cls, value: str, info: ValidationInfo) -> str:
        return value if value == "DEFAULT" else existing(value, info)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if not self.top_k and not self.embedding:
            raise refuse("top_k: 0 without embedding: true would store nothing")
        if self.weights != "DEFAULT":
            if self.preprocess is None:
                raise refuse("weights from a file need a 'preprocess' (resize, crop, mean, std)")
            if self.top_k and self.categories is None:
                raise refuse("weights from a file need 'categories' (or top_k: 0)")
        return self

    @property
    def stores_embedding(self) -> bool:
        """Tell whether the embedding was asked for."""
        return self.embedding

    @property
    def stores_categories(self) -> bool:
        """Tell whether any category is stored."""
        return self.top_k > 0

    def columns(self, info: ModelInfo | None) -> pa.Schema:
        """Give ids and probabilities of the top categories, and the pooled embedding."""
        fields = []
        if self.top_k:
            fields.append(pa.field("category_ids", schema.vector(pa.int16(), self.top_k)))
            probabilities = schema.vector(pa.float32(), self.top_k)
            fields.append(pa.field("category_probabilities", probabilities))
        if info is not None and info.embedding_dim:
            fields.append(schema.embedding(info.embedding_dim))
        return pa.schema(fields)

    def with_local_files(self, local: Callable[[str], Path]) -> Self:
        """Fetch the file of category names."""
        if not isinstance(self.categories, Categories):
            return self
        copy = self.categories.model_copy(update={"file": str(local(self.categories.file))})
        return self.model_copy(update={"categories": copy})

    def identity(self, content_hash: Callable[[Path], str]) -> list[object]:
        """Give the settings, and the category names by the content of their file."""
        names: object = self.categories
        if isinstance(self.categories, Categories):
            names = [content_hash(Path(self.categories.file)), self.categories.skip_lines]
        return [named(self, NOT_IN_IDENTITY), names]

    def default_weights(self) -> Path:
        """Fetch the pretrained weights that the model's library offers."""
        from wslabel.networks import zoo  # noqa: PLC0415 - loads torch

        return zoo.default_weights(self.model)

    def describe(self, weights: Path) -> ModelInfo:
        """Load the network once and see that weights, categories and preprocessing fit it."""
        from wslabel.features.classifier_model import Classifier  # noqa: PLC0415 - loads torch
        from wslabel.networks import zoo  # noqa: PLC0415 - loads torch

        names: tuple[str, ...] = ()
        if self.top_k:
            names = zoo.own_categories(self.model) if self.categories is None else self.names()
        preprocess = self.preprocess or zoo.own_preprocess(self.model)
        network = Classifier(
            model=self.model, options=self.model_options, weights=weights, top_k=self.top_k
        )
        info = network.describe(preprocess, names)
        return info if self.embedding else ModelInfo(info.preprocess, info.categories)

    def names(self) -> tuple[str, ...]:
        """Give the category names that the settings list, or their file.

        Raises:
            WeightsError: The file is no text.
        """
        if not isinstance(self.categories, Categories):
            return tuple(self.categories or ())
        file = self.categories.file
        try:
            text = Path(file).read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise WeightsError(f"{file}: expected a category per line, in UTF-8: {error}") from None
        # Not splitlines(), which ends lines at characters that stand inside of names, too.
        lines = text.split("\n")[self.categories.skip_lines :]
        return tuple(line.strip() for line in lines if line.strip())

    def load(self, info: ModelInfo, weights: Path, precision: str) -> FeatureModel:
        """Load the network on the device that this process may use."""
        from wslabel.features.classifier_model import Classifier  # noqa: PLC0415 - loads torch

        network = Classifier(
            model=self.model, options=self.model_options, weights=weights, top_k=self.top_k
        )
        return network.load(info, precision, embedding=self.embedding)
