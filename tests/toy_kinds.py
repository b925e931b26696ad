"""One toy kind of everything that has a registry; workers import this module by its name."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from wslabel.active.acquisition import AcquisitionConfig
from wslabel.config.base import Fraction
from wslabel.config.paths import ExistingPath
from wslabel.config.preprocess import Preprocess
from wslabel.exports.exporter import ExportConfig, LabeledImages
from wslabel.features.decode import Decoded
from wslabel.features.feature import ImageFeatureConfig, NetworkFeatureConfig
from wslabel.features.model_info import ModelInfo
from wslabel.label_model.label_model import FittedLabelModel, LabelModelConfig
from wslabel.label_model.summary import Summary
from wslabel.labeling.labeling_function import (
    Batch,
    LabelingFunction,
    LFConfig,
    LFContext,
    MadeFunction,
    Outline,
    Votes,
    class_id,
)
from wslabel.schema import ABSTAIN
from wslabel.sources.listing import LISTING, check
from wslabel.sources.source import SourceConfig, SourceContext


class LinesConfig(SourceConfig):
    """Images named in a text file, one per line: a path, a space, and a class.

    Attributes:
        source: Name of this kind of source.
        path: The text file.
    """

    source: Literal["lines"]
    path: ExistingPath

    may_change: ClassVar[frozenset[str]] = SourceConfig.may_change | {"path"}

    def list_images(self, context: SourceContext) -> pa.Table:
        """List the lines."""
        lines = [line.split() for line in Path(self.path).read_text().splitlines()]
        paths, truths = zip(*lines, strict=True)
        ids = [Path(path).name for path in paths]
        return check(pa.table([ids, paths, [None] * len(ids), truths], schema=LISTING), self.path)


class BrightnessConfig(ImageFeatureConfig):
    """How bright an image is, from 0 to 1.

    Attributes:
        kind: brightness.
    """

    kind: Literal["brightness"]

    def columns(self, info: ModelInfo | None) -> pa.Schema:
        """Give one number."""
        return pa.schema([pa.field("brightness", pa.float32())])

    def compute(self, decoded: Decoded) -> tuple[float]:
        """Average all pixels and channels."""
        return (float(decoded.pixels_HW3.mean() / 255),)


class ShadeConfig(NetworkFeatureConfig):
    """Channel means, weighed by the three numbers of a file.

    Attributes:
        kind: shade.
        weights: The file, JSON.
    """

    kind: Literal["shade"]
    weights: ExistingPath

    def columns(self, info: ModelInfo | None) -> pa.Schema:
        """Give one number."""
        return pa.schema([pa.field("shade", pa.float32())])

    def default_weights(self) -> Path:
        """Refuse: nobody offers any."""
        raise NotImplementedError

    def describe(self, weights: Path) -> ModelInfo:
        """Say that it takes small images."""
        return ModelInfo(Preprocess(resize=16, crop=16))

    def load(self, info: ModelInfo, weights: Path, precision: str) -> "Shade":
        """Read the numbers."""
        return Shade(np.array(json.loads(weights.read_text())))


@dataclass(frozen=True)
class Shade:
    """The model half of the toy."""

    weights_3: NDArray[np.float64]

    def __call__(self, images_NHW3: np.ndarray) -> dict[str, np.ndarray]:
        """Weigh the channels of a mini-batch."""
        return {"shade": (images_NHW3.mean(axis=(1, 2)) @ self.weights_3).astype(np.float32)}

    def outputs(self, images_NHW3: np.ndarray) -> np.ndarray:
        """Give the same, as a column."""
        return self(images_NHW3)["shade"][:, None]


class BrightLFConfig(LFConfig):
    """Votes for a class where an image is brighter than others.

    Attributes:
        name: Name of the function and of its column in the votes table.
        kind: bright.
        feature: The brightness feature that it reads.
        class_name: Class that bright images are of.
        above: Brightness that must be exceeded.
    """

    kind: Literal["bright"]
    feature: str = "brightness"
    class_name: str
    above: Fraction

    def check(self, where: str, outline: Outline) -> None:
        """Refuse an unknown class and a feature of another kind."""
        outline.check_class(where, self.class_name)
        outline.check_feature(f"{where}.feature", self.feature, "brightness")

    def make(self, context: LFContext) -> MadeFunction:
        """Turn the class into its id."""
        vote = context.constant(f"toy-{self.name}", lambda: class_id(context, self.class_name))
        return MadeFunction(BrightLF(self.name, self.feature, vote, self.above), self)


@dataclass(frozen=True)
class BrightLF(LabelingFunction):
    """Votes for bright images."""

    name: str
    feature: str
    vote: int
    above: float

    score_range: ClassVar[tuple[float, float] | None] = (0.0, 1.0)

    @property
    def reads(self) -> tuple[str, ...]:
        """The brightness."""
        return (f"{self.feature}.brightness",)

    def scores(self, batch: Batch) -> np.ndarray:
        """Give the brightness."""
        return batch[self.reads[0]]

    @property
    def thresholds(self) -> Mapping[str, float]:
        """What it must exceed."""
        return {"above": self.above}

    def __call__(self, batch: Batch) -> Votes:
        """Vote; comparisons with NaN are false."""
        return np.where(self.scores(batch) > self.above, np.int8(self.vote), np.int8(ABSTAIN))


class BusiestConfig(LabelModelConfig):
    """Takes the vote of the function that voted most often, of those that vote on an image.

    Attributes:
        kind: busiest.
    """

    kind: Literal["busiest"]

    def fit(self, summary: Summary, num_classes: int) -> FittedLabelModel:
        """Order the functions by their coverage."""
        return Busiest(np.argsort(-summary.coverage_M(num_classes)).tolist(), num_classes)

    def restore(self, text: str) -> FittedLabelModel:
        """Read the order."""
        return Busiest(**json.loads(text))


@dataclass(frozen=True)
class Busiest:
    """The functions in their order."""

    order: list[int]
    num_classes: int

    def probabilities(self, votes_NM: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
        """Be sure of the first vote in the order."""
        probs_NK = np.full((len(votes_NM), self.num_classes), np.nan)
        for function in reversed(self.order):
            voted_N = votes_NM[:, function] != ABSTAIN
            probs_NK[voted_N] = np.eye(self.num_classes)[votes_NM[voted_N, function]]
        return probs_NK

    def accuracies(self) -> None:
        """It makes no estimate."""

    def evidence(self, votes_M: NDArray[np.integer[Any]]) -> None:
        """It weighs no votes."""

    def to_json(self) -> str:
        """Write the order."""
        return json.dumps({"order": self.order, "num_classes": self.num_classes})


class OfClassConfig(AcquisitionConfig):
    """How probable one class is.

    Attributes:
        kind: of_class.
        class_id: The class.
    """

    kind: Literal["of_class"]
    class_id: int

    def scores(self, probs_NK: np.ndarray) -> np.ndarray:
        """Give its probability."""
        return np.asarray(probs_NK[:, self.class_id])


class WordsConfig(ExportConfig):
    """One line per image: its id and its class.

    Attributes:
        kind: words.
    """

    kind: Literal["words"]

    @property
    def extension(self) -> str:
        """Ending of the file."""
        return ".txt"

    def write(self, groups: Iterator[LabeledImages], classes: Sequence[str], sink: BinaryIO) -> int:
        """Write the lines."""
        names, count = [*classes, "-"], 0
        for images in groups:
            for image_id, label in zip(images.image_ids, images.labels, strict=True):
                sink.write(f"{image_id} {names[label]}\n".encode())
                count += 1
        return count


KINDS = (
    LinesConfig,
    BrightnessConfig,
    ShadeConfig,
    BrightLFConfig,
    BusiestConfig,
    OfClassConfig,
    WordsConfig,
)
