"""How an image becomes the input of a network."""

from typing import Literal

from pydantic import Field

from wslabel.config.base import Settings


class Preprocess(Settings):
    """How an image becomes the input of a network: resize, crop the center, normalize.

    Attributes:
        resize: Pixels of the shorter side after resizing, or of both sides with mode squash.
        mode: shortest keeps the shape of the image, squash makes it square.
        crop: Pixels of the central square that is cut out.
        interpolation: bilinear or bicubic, both antialiased.
        mean: Subtracted from pixel / 255, for red, green and blue.
        std: Divides the difference, for red, green and blue.
    """

    resize: int = Field(256, ge=1)
    mode: Literal["shortest", "squash"] = "shortest"
    crop: int = Field(224, ge=1)
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
