"""The kinds of sources, by the name that `images.source` gives them."""

from pathlib import Path

from wslabel.config.problems import chosen
from wslabel.config.registry import Registry
from wslabel.config.yaml_file import read
from wslabel.sources.folder import FolderConfig
from wslabel.sources.generated import GeneratedConfig
from wslabel.sources.huggingface import HuggingFaceConfig
from wslabel.sources.openimages import OpenImagesConfig
from wslabel.sources.source import SourceConfig
from wslabel.sources.table import TableConfig
from wslabel.sources.webdataset import WebDatasetConfig

SOURCES: Registry[SourceConfig] = Registry(
    "source",
    FolderConfig,
    TableConfig,
    OpenImagesConfig,
    GeneratedConfig,
    WebDatasetConfig,
    HuggingFaceConfig,
)
"""All kinds of sources; a new one is one more line here."""


def images_of(source: str) -> SourceConfig:
    """Turn what names images into a source.

    Args:
        source: a folder or S3 prefix, a CSV or Parquet file, or a YAML file with a section
            `images`.

    Raises:
        ConfigError: there is nothing of that name, or the YAML file is no source.
    """
    if source.endswith((".yaml", ".yml")):
        file = Path(source)
        values = read(file).get("images")
        return chosen(SOURCES, values, key="images", file=file, folder=file.resolve().parent)
    is_table = source.endswith((".csv", ".csv.gz", ".parquet"))
    values = {"source": "table" if is_table else "folder", "path": source}
    return chosen(SOURCES, values, key="images", file=Path("--images"), folder=Path.cwd())
