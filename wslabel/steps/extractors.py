"""From the `features:` of a config to extractors: made in workers, and naming their tables."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from wslabel import schema
from wslabel.config import fingerprint, is_remote
from wslabel.errors import WeightsError
from wslabel.features.card import Card
from wslabel.settings import S3, Categories, Classifier, Clip, Project
from wslabel.steps import doors
from wslabel.steps.constants import Constants, NotMade
from wslabel.storage import files
from wslabel.storage.location import Location
from wslabel.storage.table import Table

# What does not change a feature's values by its own; weights and categories count by content.
NOT_IN_NAME = {"weights", "precision", "batch_size", "categories"}


@dataclass(frozen=True)
class Extractor:
    """One feature as workers need it.

    Attributes:
        name: of the feature in the config.
        settings: its section, paths made absolute.
        identity: fingerprint of everything but the precision.
        weights_sha256: content of the checkpoint, None for features without a network.
        card: what is known of the network.
        precision: None while it is still to be measured.
    """

    name: str
    settings: Any
    identity: str
    weights_sha256: str | None = None
    card: Card | None = None
    precision: str | None = None

    @property
    def is_network(self) -> bool:
        """Tell whether it has a model half."""
        return self.weights_sha256 is not None

    @property
    def folder(self) -> str:
        """Name the folder of its table."""
        assert self.precision is not None or not self.is_network
        return f"features/{self.name}-{fingerprint(self.identity, self.precision)}"

    @property
    def columns(self) -> Any:
        """Give the columns of its table."""
        if self.settings.kind == "color":
            return schema.COLOR
        if self.settings.kind == "thumbnail":
            return schema.THUMBNAIL
        assert self.card is not None
        if self.settings.kind == "clip":
            return schema.classifier(0, self.card.embedding_dim)
        return schema.classifier(self.settings.top_k, self.card.embedding_dim)

    def table(self, location: Location) -> Table:
        """Open its table."""
        return Table(location, self.folder)


def extractors(project: Project, constants: Constants) -> list[Extractor]:
    """Resolve all features; networks are looked at once and remembered as constants.

    Raises:
        WeightsError: a checkpoint is absent or does not fit.
    """
    return [
        _extractor(name, settings, project.s3, constants)
        for name, settings in project.features.items()
    ]


def _extractor(name: str, settings: Any, s3: S3, constants: Constants) -> Extractor:
    parts: list[object] = [settings.kind, schema.FEATURE_VERSIONS[settings.kind]]
    if not isinstance(settings, Classifier | Clip):
        return Extractor(name, settings, fingerprint(*parts, settings))
    settings = localized(settings, s3)
    weights = locate(settings, s3)
    sha256 = files.content_hash(weights)
    plain = settings.model_dump(mode="json", exclude=NOT_IN_NAME)
    if isinstance(settings, Clip) and settings.model.endswith(".json"):
        plain["model"] = files.content_hash(Path(settings.model))
    identity = fingerprint(*parts, plain, sha256, _category_text(settings))
    module_of = settings.kind
    try:
        card = constants.get_or_make(
            f"card-{identity}",
            lambda: doors.feature(module_of).describe(settings, weights).to_dict(),
        )
    except NotMade:
        return Extractor(name, settings, identity, sha256)  # as if its precision were open
    precision = settings.precision
    if precision == "auto":
        precision = constants.get(f"precision-{identity}")
    return Extractor(name, settings, identity, sha256, Card.from_dict(card), precision)


def localized(settings: Classifier | Clip, s3: S3) -> Classifier | Clip:
    """Fetch the small files that a network's settings name."""
    if isinstance(settings, Clip):
        if not settings.model.endswith(".json"):
            return settings
        return settings.model_copy(update={"model": str(files.local_copy(settings.model, s3))})
    if not isinstance(settings.categories, Categories):
        return settings
    copy = str(files.local_copy(settings.categories.file, s3))
    categories = settings.categories.model_copy(update={"file": copy})
    return settings.model_copy(update={"categories": categories})


def _category_text(settings: Classifier | Clip) -> object:
    if isinstance(settings, Clip) or settings.categories is None:
        return None
    if isinstance(settings.categories, Categories):
        lines = settings.categories.skip_lines
        return [files.content_hash(Path(settings.categories.file)), lines]
    return settings.categories


def locate(settings: Classifier | Clip, s3: S3) -> Path:
    """Give the checkpoint of a network as a local path, fetching it where needed."""
    if is_remote(settings.weights) or "/" in settings.weights:
        return files.local_copy(settings.weights, s3)
    key = fingerprint(settings.kind, settings.model, settings.weights)
    known = files.remembered(key)
    if known is not None and Path(known).is_file():
        return Path(known)
    path: Path = doors.feature(settings.kind).default_weights(settings)
    files.remember(key, str(path))
    return path


def make_model(extractor: Extractor, s3: S3) -> Any:
    """Load the model half in this process, from the very weights that the name stands for.

    Raises:
        WeightsError: this machine has other weights than the driver.
    """
    settings = localized(extractor.settings, s3)
    weights = locate(settings, s3)
    if files.content_hash(weights) != extractor.weights_sha256:
        raise WeightsError(f"{weights}: differs from the file that the driver saw; use one copy")
    module = doors.feature(settings.kind)
    return module.Model(settings, extractor.card, weights, extractor.precision)


def with_precision(extractor: Extractor, precision: str) -> Extractor:
    """Fix the precision of a network."""
    return replace(extractor, precision=precision)
