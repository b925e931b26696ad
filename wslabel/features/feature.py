"""What every kind of feature is: settings that know their columns and how to compute them.

A kind is a settings class. What needs no network computes its values of one decoded image
(`ImageFeatureConfig`); a network feature says how its model is found, described and loaded
(`NetworkFeatureConfig`). Settings are read by every command, so torch is imported inside the
methods that need it and nowhere above.
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar, Protocol, Self

import numpy as np
import pyarrow as pa
from pydantic import Field

from wslabel.config.base import Precision, Settings
from wslabel.config.fingerprint import named
from wslabel.features.decode import Decoded
from wslabel.features.model_info import ModelInfo

Columns = dict[str, np.ndarray]
"""Values by column name, one row per image."""


class FeatureConfig(Settings):
    """The settings of one feature.

    Attributes:
        kind: Kind of the feature; may be left out where the feature has the kind's name.
    """

    kind: str
    picture_column: ClassVar[str | None] = None
    """The column that holds an encoded picture, of kinds that store one."""

    @property
    def stores_embedding(self) -> bool:
        """Tell whether it has a column `embedding`."""
        return False

    @property
    def stores_categories(self) -> bool:
        """Tell whether it has columns `category_ids` and `category_probabilities`."""
        return False

    @abstractmethod
    def columns(self, info: ModelInfo | None) -> pa.Schema:
        """Give the columns of its table, between the image id and the error."""


class ImageFeatureConfig(FeatureConfig):
    """The settings of a feature that is computed of one decoded image, without a network.

    Attributes:
        kind: Kind of the feature; may be left out where the feature has the kind's name.
    """

    @abstractmethod
    def compute(self, decoded: Decoded) -> Sequence[object]:
        """Compute the values of one image, in the order of the columns; None is null."""


class FeatureModel(Protocol):
    """The model half of a network feature, loaded: uint8 images to columns."""

    def __call__(self, images_NHW3: np.ndarray) -> Columns:
        """Give the columns for one mini-batch."""
        ...

    def outputs(self, images_NHW3: np.ndarray) -> np.ndarray:
        """Give what precisions are compared by; float32 [n, d]."""
        ...


class NetworkFeatureConfig(FeatureConfig):
    """The settings of a feature that a network computes.

    Attributes:
        kind: Kind of the feature; may be left out where the feature has the kind's name.
        model: Name of the network, as its library has it.
        weights: DEFAULT for those that the model's library offers, a path, or an s3:// uri.
        precision: float32, bfloat16 or float16; auto measures once which is fastest without
            changing the outputs, and takes float32 for a workspace that begins with few images.
        batch_size: Images per mini-batch; null takes engine.batch_size.
    """

    model: str
    weights: str = "DEFAULT"
    precision: Precision = "auto"
    batch_size: int | None = Field(None, ge=1, le=4096)

    @property
    def has_weights_file(self) -> bool:
        """Tell whether `weights` is a path or a uri, and not a name that a library knows."""
        return "/" in self.weights

    def with_local_files(self, local: Callable[[str], Path]) -> Self:
        """Give settings whose small files are on this machine, as `local` fetches them."""
        return self

    def identity(self, content_hash: Callable[[Path], str]) -> list[object]:
        """Give what decides its values beside the weights; files count by their content."""
        return [named(self, NOT_IN_IDENTITY), None]

    @abstractmethod
    def default_weights(self) -> Path:
        """Fetch the weights that a library knows by name.

        Raises:
            WeightsError: There are none, or they cannot be fetched.
        """

    @abstractmethod
    def describe(self, weights: Path) -> ModelInfo:
        """Load the model once and see that all that the settings say fits it.

        Raises:
            WeightsError: Something does not fit.
        """

    @abstractmethod
    def load(self, info: ModelInfo, weights: Path, precision: str) -> FeatureModel:
        """Load the model on the device that this process may use."""

    def embed_texts(self, weights: Path, texts: Sequence[str]) -> np.ndarray:
        """Embed texts in the space of the images; L2-normalized float32 [num_texts, dim]."""
        raise NotImplementedError(f"{self.kind} has no text tower")


NOT_IN_IDENTITY = {"weights", "precision", "batch_size", "categories"}
"""Settings that do not change a feature's values by their own: files count by content."""
