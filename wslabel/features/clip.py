"""CLIP feature: an open_clip model's image embedding, in the space of its prompts."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, Self

import numpy as np
import pyarrow as pa
from pydantic import ValidationInfo, field_validator

from wslabel import schema
from wslabel.config.paths import existing
from wslabel.features.feature import FeatureModel, NetworkFeatureConfig
from wslabel.features.model_info import ModelInfo

FILES = (".json", ".pt", ".safetensors")
"""Endings that tell a file from a name or tag of open_clip's."""


class ClipConfig(NetworkFeatureConfig):
    """An open_clip model's L2-normalized image embedding.

    Attributes:
        kind: clip.
        model: A name of open_clip's, or the path of a model config (`<name>.json`).
        weights: One of open_clip's tags for that model, or the path or s3:// uri of a checkpoint.
    """

    kind: Literal["clip"]
    model: str = "ViT-B-32"
    weights: str = "laion2b_s34b_b79k"

    @field_validator("model", "weights")
    @classmethod
    def _file_is_there(cls, value: str, info: ValidationInfo) -> str:
        return existing(value, info) if "/" in value or value.endswith(FILES) else value

    @property
    def stores_embedding(self) -> bool:
        """Tell that it does."""
        return True

    def columns(self, info: ModelInfo | None) -> pa.Schema:
        """Give the embedding."""
        assert info is not None
        assert info.embedding_dim is not None
        return pa.schema([schema.embedding(info.embedding_dim)])

    def with_local_files(self, local: Callable[[str], Path]) -> Self:
        """Fetch the model config."""
        if not self.model.endswith(".json"):
            return self
        return self.model_copy(update={"model": str(local(self.model))})

    def identity(self, content_hash: Callable[[Path], str]) -> list[object]:
        """Give the settings, a model config by its content."""
        settings, _ = super().identity(content_hash)
        assert isinstance(settings, dict)
        if self.model.endswith(".json"):
            settings["model"] = content_hash(Path(self.model))
        return [settings, None]

    def default_weights(self) -> Path:
        """Fetch the weights that open_clip knows under a tag."""
        from wslabel.features import clip_model  # noqa: PLC0415 - loads torch

        return clip_model.default_weights(self.model, self.weights)

    def describe(self, weights: Path) -> ModelInfo:
        """Load the model once and read its preprocessing."""
        from wslabel.features import clip_model  # noqa: PLC0415 - loads torch

        return clip_model.describe(self.model, weights)

    def load(self, info: ModelInfo, weights: Path, precision: str) -> FeatureModel:
        """Load the image tower on the device that this process may use."""
        from wslabel.features import clip_model  # noqa: PLC0415 - loads torch

        return clip_model.ClipModel(self.model, weights, info, precision)

    def embed_texts(self, weights: Path, texts: Sequence[str]) -> np.ndarray:
        """Embed prompts with the text tower."""
        from wslabel.features import clip_model  # noqa: PLC0415 - loads torch

        return clip_model.embed_texts(self.model, weights, texts)
