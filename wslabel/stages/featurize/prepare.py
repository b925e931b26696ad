"""The bytes of one image to what features need of it: values, and inputs of networks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from wslabel.config.preprocess import Preprocess
from wslabel.features.decode import Undecodable, decode
from wslabel.features.feature import ImageFeatureConfig


@dataclass(frozen=True)
class PreparedImage:
    """One image, ready for the models.

    Attributes:
        error: Error kind; None where there is none.
        values: Values of the features that need no network, by feature.
        inputs: uint8 input of the networks, one per kind of input.
    """

    error: str | None = None
    values: Mapping[str, Sequence[object]] = field(default_factory=dict)
    inputs: tuple[np.ndarray, ...] = ()


@dataclass(frozen=True)
class ImagePreparer:
    """Bytes to a prepared image; runs in workers and, isolated, in children of theirs.

    Attributes:
        pixel_features: Features that need no network, by name.
        inputs: Kinds of input that networks ask for.
        max_pixels: Pixels of the largest image that is decoded.
    """

    pixel_features: tuple[tuple[str, ImageFeatureConfig], ...]
    inputs: tuple[Preprocess, ...]
    max_pixels: int

    def __call__(self, fetched: bytes | str) -> PreparedImage:
        """Prepare what was fetched: bytes, or the kind of error that came instead."""
        if isinstance(fetched, str):
            return PreparedImage(fetched)
        try:
            decoded = decode(fetched, self.max_pixels)
        except Undecodable as error:
            return PreparedImage(error.kind)
        values = {name: settings.compute(decoded) for name, settings in self.pixel_features}
        if not self.inputs:
            return PreparedImage(None, values)
        from wslabel.features.resize import prepare  # noqa: PLC0415 - loads torch

        return PreparedImage(None, values, tuple(prepare(decoded, kind) for kind in self.inputs))
