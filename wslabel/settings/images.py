"""Where images come from and how they are drawn into shards and splits."""

import math
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from wslabel.schema import RESERVED
from wslabel.settings.base import S3, Fraction, Settings, refuse


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
    extensions: list[str] = [".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"]


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
        for name in value:
            if value.count(name) > 1:
                raise refuse(f"metadata column '{name}' is named twice")
            if name in RESERVED:
                raise refuse(f"metadata column '{name}' has a name of ours; rename it in the file")
        return value


Images = Annotated[Folder | TableSource, Field(discriminator="source")]
