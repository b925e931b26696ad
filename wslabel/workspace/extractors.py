"""From the `features:` of a project to extractors: made in workers, and naming their tables."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import pyarrow as pa

from wslabel.config.base import S3
from wslabel.config.fingerprint import fingerprint
from wslabel.config.preprocess import Preprocess
from wslabel.errors import WeightsError
from wslabel.features.feature import FeatureConfig, FeatureModel, NetworkFeatureConfig
from wslabel.features.model_info import ModelInfo
from wslabel.labeling.labeling_function import FeatureFacts
from wslabel.project.project import Project
from wslabel.storage import files
from wslabel.storage.location import Location
from wslabel.storage.table import Table
from wslabel.workspace.constants import Constants, NotMade, as_a
from wslabel.workspace.weight_files import locate

Computed = Literal["float32", "bfloat16", "float16"]
"""Precisions that a network may be computed in."""


@dataclass(frozen=True, kw_only=True)
class Extractor:
    """One feature as workers need it.

    Attributes:
        name: Name of the feature in the project.
        settings: Its section of the project file.
        identity: Fingerprint of everything but the precision.
        weights_sha256: Content of the weights; None for a feature without a network.
        info: What its network takes and gives; None without a network, or before it was looked at.
        precision: float32, bfloat16 or float16; None while it is still to be measured.
    """

    name: str
    settings: FeatureConfig
    identity: str
    weights_sha256: str | None = None
    info: ModelInfo | None = None
    precision: str | None = None

    @property
    def is_network(self) -> bool:
        """Tell whether it has a model half."""
        return self.weights_sha256 is not None

    @property
    def is_open(self) -> bool:
        """Tell whether its table has no name yet, for want of a measured precision."""
        return self.is_network and self.precision is None

    @property
    def folder(self) -> str:
        """Name the folder of its table."""
        assert not self.is_open
        return f"features/{self.name}-{fingerprint(self.identity, self.precision)}"

    @property
    def columns(self) -> pa.Schema:
        """Give the columns of its table."""
        return self.settings.columns(self.info)

    @property
    def facts(self) -> FeatureFacts:
        """Tell what labeling functions may know of it."""
        known = self.info is not None or not self.is_network
        return FeatureFacts(
            kind=self.settings.kind,
            stores_categories=self.settings.stores_categories,
            identity=self.identity,
            columns=tuple(self.columns.names) if known else (),
            categories=() if self.info is None else self.info.categories,
        )

    def table(self, location: Location) -> Table:
        """Open its table."""
        return Table(location, self.folder)

    def with_precision(self, precision: str) -> "Extractor":
        """Fix the precision of its network."""
        return replace(self, precision=precision)

    def load(self, s3: S3) -> FeatureModel:
        """Load the model half in this process, from the very weights that the name stands for.

        Raises:
            WeightsError: This machine has other weights than the driver.
        """
        assert isinstance(self.settings, NetworkFeatureConfig)
        assert self.info is not None
        assert self.precision is not None
        settings = localized(self.settings, s3)
        weights = locate(settings, s3)
        if files.content_hash(weights) != self.weights_sha256:
            raise WeightsError(
                f"{weights}: differs from the file that the driver saw; use one copy"
            )
        return settings.load(self.info, weights, self.precision)


def extractors(project: Project, constants: Constants) -> dict[str, Extractor]:
    """Resolve all features by name; networks are looked at once and remembered as constants.

    Raises:
        WeightsError: A checkpoint is absent or does not fit.
    """
    return {
        name: _extractor(name, settings, project.s3, constants)
        for name, settings in project.features.items()
    }


def _extractor(name: str, settings: FeatureConfig, s3: S3, constants: Constants) -> Extractor:
    if not isinstance(settings, NetworkFeatureConfig):
        return Extractor(name=name, settings=settings, identity=fingerprint(settings))
    local = localized(settings, s3)
    weights = locate(local, s3)
    sha256 = files.content_hash(weights)
    plain, content = local.identity(files.content_hash)
    identity = fingerprint(plain, sha256, content)
    # Settings as the project has them: each machine fetches its own copies.
    extractor = Extractor(name=name, settings=settings, identity=identity, weights_sha256=sha256)
    try:
        info = constants.get_or_make(
            f"card-{identity}", lambda: local.describe(weights).to_dict(), as_a(ModelInfo)
        )
    except NotMade:
        return extractor  # as if its precision were open
    precision = settings.precision
    if precision == "auto":
        precision = constants.get(f"precision-{identity}", as_a(Computed))
    return replace(extractor, info=info, precision=precision)


def localized(settings: NetworkFeatureConfig, s3: S3) -> NetworkFeatureConfig:
    """Fetch the small files that a network's settings name."""
    return settings.with_local_files(lambda uri: files.local_copy(uri, s3))


def input_kind(preprocess: Preprocess) -> Preprocess:
    """Reduce a preprocessing to what the CPU half does, so that networks share their inputs."""
    plain = Preprocess()
    return preprocess.model_copy(update={"mean": plain.mean, "std": plain.std})


def input_kinds(extractors: Sequence[Extractor]) -> tuple[Preprocess, ...]:
    """List the different inputs that networks ask for, each once."""
    infos = [e.info for e in extractors if e.is_network and e.info is not None]
    return tuple(dict.fromkeys(input_kind(info.preprocess) for info in infos))
