"""What is computed of every image, once."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from wslabel.settings.base import Precision, Settings, refuse


class Color(Settings):
    """Channel means and the count of pixels that each channel wins."""

    kind: Literal["color"]


class Thumbnail(Settings):
    """A JPEG of which the shorter side has `size` pixels."""

    kind: Literal["thumbnail"]
    size: int = Field(256, ge=16, le=4096)
    quality: int = Field(90, ge=1, le=100)


class Preprocess(Settings):
    """Resize the shorter side (or squash), crop the center, then (pixel / 255 - mean) / std."""

    resize: int = Field(256, ge=1)
    mode: Literal["shortest", "squash"] = "shortest"
    crop: int = Field(224, ge=1)
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)


class Categories(Settings):
    """A text file with one category name per line, in the order of the network's outputs."""

    file: str
    skip_lines: int = Field(0, ge=0)


class Model(Settings):
    """What all network features have in common."""

    weights: str = "DEFAULT"
    precision: Precision = "auto"
    batch_size: int | None = Field(None, ge=1, le=4096)


class Classifier(Model):
    """A torchvision or timm classifier: its top categories and, when asked, its embedding."""

    kind: Literal["classifier"]
    model: str = "torchvision/efficientnet_b0"
    model_options: dict[str, Any] = {}
    categories: list[str] | Categories | None = None
    preprocess: Preprocess | None = None
    top_k: int = Field(5, ge=0, le=100)
    embedding: bool = False

    @field_validator("model")
    @classmethod
    def _has_library(cls, value: str) -> str:
        if value.partition("/")[0] not in ("torchvision", "timm") or "/" not in value:
            raise refuse(f"expected torchvision/NAME or timm/NAME, found '{value}'")
        return value

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if not self.top_k and not self.embedding:
            raise refuse("top_k: 0 without embedding: true would store nothing")
        if self.weights != "DEFAULT":
            if self.preprocess is None:
                raise refuse("weights from a file need a 'preprocess' (resize, crop, mean, std)")
            if self.top_k and self.categories is None:
                raise refuse("weights from a file need 'categories' (or top_k: 0)")
        return self


class Clip(Model):
    """An open_clip model's L2-normalized image embedding.

    `model` is a name of open_clip, or the path of a model config (`<name>.json`); `weights` is one
    of open_clip's tags, or the path of a checkpoint.
    """

    kind: Literal["clip"]
    model: str = "ViT-B-32"
    weights: str = "laion2b_s34b_b79k"


Feature = Annotated[Color | Thumbnail | Classifier | Clip, Field(discriminator="kind")]
FEATURE_KINDS = ("color", "thumbnail", "classifier", "clip")
