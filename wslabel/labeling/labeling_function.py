"""What every kind of labeling function is: settings, and the pure function that they make.

A kind is one file: a settings class (`LFConfig`), which makes the function (`LabelingFunction`)
once what does not depend on the single image is computed (`LFContext.constant`), and a line in
`registry.py`. Functions see the columns that they name, and no column of ours is ever among them:
neither truth nor what may give it away, as an id or uri that holds the name of a class's folder.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np
from pydantic import field_validator

from wslabel.config.base import Settings, refuse
from wslabel.config.names import column_name
from wslabel.errors import nearest
from wslabel.schema import ABSTAIN, RESERVED

Batch = Mapping[str, np.ndarray]
"""Columns as arrays of equal length: metadata by name, features as `feature.column`."""

Votes = np.ndarray
"""int8 [n]: a class id or ABSTAIN."""

T = TypeVar("T")


class LabelingFunction(ABC):
    """A labeling function with its constants: a pure function of columns to votes."""

    name: str
    """Name of its column in the votes table."""

    score_range: ClassVar[tuple[float, float] | None] = None
    """The least and the greatest of its scores; None where it goes by no number."""

    text_columns: ClassVar[bool] = False
    """Whether the columns of the images that it reads must hold text."""

    @property
    @abstractmethod
    def reads(self) -> tuple[str, ...]:
        """Columns that it looks at, at least one; it is given these and no others."""

    @abstractmethod
    def __call__(self, batch: Batch) -> Votes:
        """Vote on every image of a batch."""

    @property
    def modules(self) -> tuple[ModuleType, ...]:
        """Import the modules of the user's own that it votes by; workers need them by value.

        Raises:
            ConfigError: They cannot be imported, or hold no such function.
        """
        return ()

    def scores(self, batch: Batch) -> np.ndarray:
        """Give the number that it goes by, NaN where there is none; float32 [n]."""
        raise NotImplementedError(f"{self.name} goes by no number")

    @property
    def thresholds(self) -> Mapping[str, float]:
        """Give what its scores are compared with, by name; empty where it goes by no number."""
        return {}

    @property
    def embedding(self) -> tuple[str, np.ndarray] | None:
        """Name the feature, and give the vectors [p, d], whose cosines to an image it goes by.

        The applier multiplies the vectors of all functions on one feature at once and passes on
        the result as the column `cosines_column`; None where it goes by no cosine.
        """
        return None

    @property
    def cosines_column(self) -> str:
        """Name the column in which the applier passes on its cosines, [n, p]."""
        return f"{self.name}.cosines"


@dataclass(frozen=True)
class MadeFunction:
    """A labeling function and what decides its votes.

    Attributes:
        function: The function itself.
        identity: Values that decide its votes beside the tables that it reads; they name the votes.
    """

    function: LabelingFunction
    identity: object


@dataclass(frozen=True, kw_only=True)
class FeatureFacts:
    """What a labeling function may know of a feature, before there is any image.

    Attributes:
        kind: Kind of the feature.
        stores_categories: Whether it has columns of categories.
        identity: Fingerprint of what decides its values, but for the precision.
        columns: Names of its columns; empty while its network is not known yet.
        categories: Names of its network's outputs, in their order.
    """

    kind: str
    stores_categories: bool = False
    identity: str = ""
    columns: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outline:
    """What a project says of itself: what functions may name.

    Attributes:
        classes: Class names in the order of their ids.
        features: What is known of the features by name.
        metadata: Metadata columns of the images; None where only the listing tells.
    """

    classes: Sequence[str]
    features: Mapping[str, FeatureFacts] = field(default_factory=dict)
    metadata: Sequence[str] | None = None

    def check_class(self, where: str, name: str) -> None:
        """Refuse a class that the project does not have."""
        if name not in self.classes:
            raise refuse(f"{where}: unknown class '{name}'; {nearest(name, self.classes)}")

    def check_feature(self, where: str, name: str, kind: str | None = None) -> None:
        """Refuse a feature that the project does not have, or that is of another kind."""
        fitting = [n for n, facts in self.features.items() if kind in (None, facts.kind)]
        if name not in fitting:
            what = f"no {kind} feature" if kind else "no feature"
            raise refuse(f"{where}: there is {what} named '{name}'; {nearest(name, fitting)}")

    def check_metadata(self, where: str, name: str) -> None:
        """Refuse a metadata column that the images do not have."""
        if self.metadata is not None and name not in self.metadata:
            choice = nearest(name, self.metadata)
            raise refuse(f"{where}: the images have no metadata column '{name}'; {choice}")

    def check_absent(self, where: str, name: str) -> None:
        """Refuse votes that a class is absent where that does not say which class it is."""
        if len(self.classes) > 2:
            raise refuse(
                f"{where}: that '{name}' is absent says which class it is only in a project of two "
                f"classes, found {len(self.classes)}"
            )


class LFContext(Protocol):
    """What the making of labeling functions may ask for; every answer is kept as a constant."""

    @property
    def classes(self) -> Sequence[str]:
        """Class names in the order of their ids."""
        ...

    def facts(self, feature: str) -> FeatureFacts:
        """Tell what is known of a feature."""
        ...

    def constant(self, name: str, make: Callable[[], T], kind: Any = Any) -> T:
        """Look up a value that does not depend on the single image, or compute and keep it.

        Args:
            name: Its name, with a fingerprint of all that it depends on.
            make: Computes it, as plain values that JSON holds.
            kind: Type that it must have, as `dict[str, float]`: others may write to a workspace.

        Raises:
            StorageError: What is kept under the name is of another type.
        """
        ...

    def local_file(self, uri: str) -> tuple[Path, str]:
        """Give a file as a local path, with the SHA-256 of its content."""
        ...

    def text_vectors(self, feature: str, texts: Sequence[str]) -> list[list[float]]:
        """Embed texts in the space of a feature's images, each once per workspace."""
        ...

    def image_vector(
        self, feature: str, uri: str, crop: tuple[float, float, float, float] | None, where: str
    ) -> tuple[str, list[float]]:
        """Embed an example image, or a crop of one; give a fingerprint of it too.

        Raises:
            ConfigError: The file is no image; names `where`.
        """
        ...

    def quantile(self, feature: str, vector: np.ndarray, share: float) -> float:
        """Give the cosine to a vector that a share of all images stays below, frozen once found."""
        ...


class LFConfig(Settings):
    """The settings of one labeling function.

    Attributes:
        name: Name of the function and of its column in the votes table.
        kind: Kind of the function.
    """

    name: str
    kind: str

    @field_validator("name")
    @classmethod
    def _is_column(cls, value: str) -> str:
        return column_name(value)

    @abstractmethod
    def make(self, context: LFContext) -> MadeFunction:
        """Make the function; what does not depend on the single image is computed here, once.

        Raises:
            ConfigError: The settings name something that is not there.
        """

    def check(self, where: str, outline: Outline) -> None:
        """Refuse classes and features that the project does not have; `where` names the entry."""


def class_id(context: LFContext, name: str) -> int:
    """Give the id of a class."""
    return list(context.classes).index(name)


def present_and_absent(context: LFContext, name: str, *, invert: bool) -> tuple[int, int]:
    """Give the votes that say a class is present and absent; among many classes absent abstains."""
    present = class_id(context, name)
    absent = 1 - present if len(context.classes) == 2 else ABSTAIN
    return (absent, present) if invert else (present, absent)


def place_of(column: str, features: Container[str]) -> tuple[str | None, str]:
    """Tell the feature that a column is of, None for metadata, and the column's name there.

    >>> place_of("clip.embedding", {"clip"}), place_of("exif.make", {"clip"})
    (('clip', 'embedding'), (None, 'exif.make'))
    """
    feature, dot, name = column.rpartition(".")
    return (feature, name) if dot and feature in features else (None, column)


def features_of(columns: Iterable[str], features: Container[str]) -> list[str]:
    """Name those of some features that columns are of, in alphabetical order.

    >>> features_of(["clip.embedding", "exif.make"], {"clip", "color"})
    ['clip']
    """
    places = (place_of(column, features) for column in columns)
    return sorted({feature for feature, _ in places if feature is not None})


def metadata_column(name: str) -> str:
    """Let a labeling function name a metadata column, and never one of ours such as truth."""
    if name in RESERVED:
        raise refuse(f"a labeling function must not see '{name}'; name metadata columns")
    return name
