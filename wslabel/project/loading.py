"""Project files to projects.

Relative paths in a project file are relative to the folder of that file.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wslabel.active.acquisition import AcquisitionConfig
from wslabel.active.registry import ACQUISITIONS
from wslabel.config.problems import validated
from wslabel.config.registry import Registry
from wslabel.config.yaml_file import read
from wslabel.errors import ConfigError
from wslabel.exports.exporter import ExportConfig
from wslabel.exports.registry import EXPORTS
from wslabel.features.feature import FeatureConfig
from wslabel.features.registry import FEATURES
from wslabel.label_model.label_model import LabelModelConfig
from wslabel.label_model.registry import LABEL_MODELS
from wslabel.labeling.labeling_function import LFConfig
from wslabel.labeling.registry import LABELING_FUNCTIONS
from wslabel.project.project import Project
from wslabel.sources.registry import SOURCES
from wslabel.sources.source import SourceConfig


def load(path: str | Path) -> Project:
    """Read a project file and refuse, before any work, what cannot be.

    Raises:
        ConfigError: One sentence per problem: file, key, what was found, nearest valid choice.
    """
    return build(Path(path), read(Path(path)))


def build(file: Path, values: Mapping[str, Any]) -> Project:
    """Turn what a project file says into a project.

    Raises:
        ConfigError: One sentence per problem.
    """
    return validated(Project, values, file, file.resolve().parent)


REGISTRIES: dict[type, Registry[Any]] = {
    LFConfig: LABELING_FUNCTIONS,
    FeatureConfig: FEATURES,
    SourceConfig: SOURCES,
    LabelModelConfig: LABEL_MODELS,
    AcquisitionConfig: ACQUISITIONS,
    ExportConfig: EXPORTS,
}


def register(kind: type) -> None:
    """Let project files name a kind of your own, of any that have a registry.

    Args:
        kind: A settings class, a subclass of one in REGISTRIES, whose field `kind` (of a source,
            `source`) is a Literal. Workers import it by its module.

    Raises:
        ConfigError: It is none of these.
    """
    registries = [registry for parent, registry in REGISTRIES.items() if issubclass(kind, parent)]
    if not registries:
        names = ", ".join(parent.__name__ for parent in REGISTRIES)
        raise ConfigError(f"{kind.__name__}: expected a kind of {names}")
    registries[0].add(kind)
    Project.model_rebuild(force=True)
