"""Where images come from and how they are drawn into shards and splits."""

import math
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from wslabel.schema import RESERVED
from wslabel.settings.base import S3, Fraction, Settings, refuse

EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".avif", ".bmp", ".gif", ".tif", ".tiff")
OpenImagesSplit = Literal["train", "validation", "test"]


class Split(Settings):
    """Fractions of the images; they add up to 1."""

    train: Fraction = 0.7
    val: Fraction = 0.1
    test: Fraction = 0.2

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        if not math.isclose(self.train + self.val + self.test, 1.0, abs_tol=1e-6):
            raise refuse(
                f"train + val + test must be 1, found {self.train + self.val + self.test:g}"
            )
        return self


class Source(Settings):
    """What all sources have in common."""

    split: Split = Split()
    seed: int = 0
    shard_size: int = Field(512, ge=1, le=32768)
    s3: S3 | None = None


class Folder(Source):
    """All images under a path or S3 prefix; the class is the folder's name where wanted."""

    source: Literal["folder"]
    path: str
    classes: dict[str, str | list[str]] | None = None
    other_folders: Literal["skip", "keep"] = "skip"
    extensions: list[str] = list(EXTENSIONS)


class TableSource(Source):
    """A CSV or Parquet file with one uri per row."""

    source: Literal["table"]
    path: str
    uri: str = "uri"
    image_id: str | None = None
    truth: str | None = None
    split_column: str | None = None
    metadata: list[str] = []
    classes: dict[str, str | list[str]] | None = None

    @field_validator("metadata")
    @classmethod
    def _free_names(cls, value: list[str]) -> list[str]:
        return free_names(value)


class WebDataset(Source):
    """Tar files in the format of WebDataset, in a folder or one by one; images stay in there.

    `truth` and `metadata` name members by their extension (`cls`, `txt`) or keys of `json`.
    """

    source: Literal["webdataset"]
    path: str
    truth: str | None = None
    metadata: list[str] = []
    classes: dict[str, str | list[str]] | None = None
    extensions: list[str] = list(EXTENSIONS)

    @field_validator("metadata")
    @classmethod
    def _free_names(cls, value: list[str]) -> list[str]:
        return free_names(value)

    def reads(self, extension: str) -> bool:
        """Tell whether members of an extension may hold a value that is asked for."""
        names = [name for name in (self.truth, *self.metadata) if name is not None]
        return bool(names) and extension in (*names, "json")


class HuggingFace(Source):
    """A data set of the Hugging Face library `datasets`: a local folder, or a name on its hub.

    Images that are no files of a local folder are packed into tar files of the workspace.
    `splits` maps the data set's splits to ours (or to null, to be drawn).
    """

    source: Literal["huggingface"]
    dataset: str
    subset: str | None = None
    revision: str | None = None
    image: str = "image"
    image_id: str | None = None
    truth: str | None = None
    metadata: list[str] = []
    classes: dict[str, str | list[str]] | None = None
    splits: dict[str, Literal["train", "val", "test"] | None] = {"train": None}

    @field_validator("metadata")
    @classmethod
    def _free_names(cls, value: list[str]) -> list[str]:
        return free_names(value)


HUMAN = "https://storage.googleapis.com/openimages/v7/oidv7-{}-annotations-human-imagelabels.csv"


class OpenImages(Source):
    """Open Images: images that people verified to show exactly one of some classes.

    `classes` maps the project's classes to display names in Open Images' own list, in any case.
    What the data set publishes as CSV is read as a stream from https, S3 or disk.
    """

    source: Literal["openimages"]
    classes: dict[str, str | list[str]]
    class_descriptions: str = (
        "https://storage.googleapis.com/openimages/v7/oidv7-class-descriptions.csv"
    )
    trainable_classes: str | None = (
        "https://storage.googleapis.com/openimages/v7/oidv7-classes-trainable.txt"
    )
    labels: dict[OpenImagesSplit, str] = {
        "train": HUMAN.format("train"),
        "validation": HUMAN.format("val"),
        "test": HUMAN.format("test"),
    }
    image_metadata: dict[OpenImagesSplit, str] = {}
    metadata: list[str] = []
    images: str = "s3://open-images-dataset"
    max_per_class: int | None = Field(None, ge=1)
    own_splits: bool = False
    split: Split = Split(train=0.7, val=0.2, test=0.1)
    s3: S3 | None = S3(region="us-east-1", anonymous=True)

    @field_validator("labels")
    @classmethod
    def _some(cls, value: dict[OpenImagesSplit, str]) -> dict[OpenImagesSplit, str]:
        if not value:
            raise refuse("name the label file of at least one of train, validation, test")
        return value

    @field_validator("metadata")
    @classmethod
    def _free_names(cls, value: list[str]) -> list[str]:
        return free_names(value)

    @model_validator(mode="after")
    def _metadata_has_files(self) -> Self:
        if self.metadata and set(self.image_metadata) != set(self.labels):
            raise refuse(
                f"metadata: name image_metadata of the splits {', '.join(self.labels)} too"
            )
        return self


class Generated(Source):
    """Drawn scenes as JPEG files under `path`: sea, jungle, and hard cases between them.

    `classes` maps the project's classes to what is drawn; scenes of no class have no truth.
    """

    source: Literal["generated"]
    path: str
    count: int = Field(600, ge=1, le=10_000_000)
    size: int = Field(96, ge=16, le=4096)
    classes: dict[str, Literal["sea", "jungle"]] = {"sea": "sea", "jungle": "jungle"}


def free_names(value: list[str]) -> list[str]:
    """Refuse names of metadata columns that stand twice or are ours."""
    for name in value:
        if value.count(name) > 1:
            raise refuse(f"metadata column '{name}' is named twice")
        if name in RESERVED:
            raise refuse(f"metadata column '{name}' has a name of ours; rename it in the file")
    return value


Images = Annotated[
    Folder | TableSource | OpenImages | Generated | WebDataset | HuggingFace,
    Field(discriminator="source"),
]
