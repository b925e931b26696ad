"""From the `labeling_functions:` of a project to the functions with their constants."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import numpy as np

from wslabel.config.base import S3
from wslabel.config.fingerprint import fingerprint
from wslabel.errors import ConfigError
from wslabel.features.decode import Undecodable, crop
from wslabel.features.decoder import Decoder
from wslabel.features.feature import NetworkFeatureConfig
from wslabel.labeling.applier import LFApplier
from wslabel.labeling.labeling_function import FeatureFacts, LFConfig
from wslabel.storage import files
from wslabel.workspace.constants import Constants, as_a
from wslabel.workspace.extractors import Extractor, localized
from wslabel.workspace.quantiles import Quantiles
from wslabel.workspace.weight_files import locate

T = TypeVar("T")


@dataclass(frozen=True)
class Functions:
    """All labeling functions of a project.

    Attributes:
        applier: The functions together.
        identity: Fingerprint of what decides their votes beside the tables that they read.
    """

    applier: LFApplier
    identity: str

    @property
    def modules(self) -> tuple[ModuleType, ...]:
        """Import the modules of the user's own, none of which has been run before.

        Raises:
            ConfigError: One cannot be imported, or holds no such function.
        """
        return tuple(module for lf in self.applier.functions for module in lf.modules)


@dataclass(frozen=True, kw_only=True)
class FunctionContext:
    """What labeling functions may ask for while they are made; an `LFContext`.

    Attributes:
        classes: Class names in the order of their ids.
        extractors: The features by name.
        constants: Where answers are kept.
        quantiles: Thresholds by rank; None before there are embeddings, and they are NaN.
        s3: How to reach files on S3.
        decoder: Decodes example images.
    """

    classes: Sequence[str]
    extractors: Mapping[str, Extractor]
    constants: Constants
    quantiles: Quantiles | None
    s3: S3
    decoder: Decoder

    def make_all(self, settings: Sequence[LFConfig]) -> Functions:
        """Make labeling functions; what does not depend on the image is computed here, once.

        Raises:
            ConfigError: A labeling function names a category or an image that is none.
        """
        made = [config.make(self) for config in settings]
        applier = LFApplier([one.function for one in made], len(self.classes))
        identities = [
            [config.name, config.kind, config.version, one.identity]
            for config, one in zip(settings, made, strict=True)
        ]
        identity = fingerprint(self.classes, identities)
        return Functions(applier, identity)

    def facts(self, feature: str) -> FeatureFacts:
        """Tell what is known of a feature."""
        return self.extractors[feature].facts

    def constant(self, name: str, make: Callable[[], T], kind: Any = Any) -> T:
        """Look up a value, or compute and keep it."""
        value: T = self.constants.get_or_make(name, make, as_a(kind))
        return value

    def local_file(self, uri: str) -> tuple[Path, str]:
        """Give a file as a local path, with the SHA-256 of its content."""
        path = files.local_copy(uri, self.s3)
        return path, files.content_hash(path)

    def text_vectors(self, feature: str, texts: Sequence[str]) -> list[list[float]]:
        """Look prompts up one by one; the model is loaded once, for those that are new."""
        extractor = self.extractors[feature]
        names = {text: f"prompt-{fingerprint(extractor.identity, text)}" for text in texts}
        parse = partial(_of_prompt, extractor)
        new = [text for text, name in names.items() if self.constants.get(name, parse) is None]

        @cache
        def embedded() -> dict[str, list[float]]:
            assert isinstance(extractor.settings, NetworkFeatureConfig)
            settings = localized(extractor.settings, self.s3)
            vectors = settings.embed_texts(locate(settings, self.s3), new)
            return dict(zip(new, vectors.tolist(), strict=True))

        def make(text: str) -> dict[str, Any]:
            return {"text": text, "vector": embedded()[text]}

        look_up = self.constants.get_or_make
        return [look_up(names[text], partial(make, text), parse) for text in texts]

    def image_vector(
        self, feature: str, uri: str, crop: tuple[float, float, float, float] | None, where: str
    ) -> tuple[str, list[float]]:
        """Embed an example image, or a crop of one, as the images of the project are."""
        extractor = self.extractors[feature]
        path, content = self.local_file(uri)
        anchor = fingerprint(content, crop)
        name = f"example-{fingerprint(extractor.identity, anchor)}"
        make = partial(self._embedded_example, extractor, path, crop, where)
        return anchor, self.constants.get_or_make(name, make, partial(_vector, extractor))

    def _embedded_example(
        self,
        extractor: Extractor,
        path: Path,
        box: tuple[float, float, float, float] | None,
        where: str,
    ) -> list[float]:
        from wslabel.features.resize import prepare  # noqa: PLC0415 - loads torch

        try:
            decoded = self.decoder(path.read_bytes())
        except Undecodable as error:
            raise ConfigError(f"{where}: '{path}' is no image: {error}") from None
        if box is not None:
            decoded = crop(decoded, box)
        assert extractor.info is not None
        image_HW3 = prepare(decoded, extractor.info.preprocess)
        model = extractor.with_precision("float32").load(self.s3)
        return [float(value) for value in model.outputs(image_HW3[None])[0]]

    def quantile(self, feature: str, vector: np.ndarray, share: float) -> float:
        """Give the cosine to a vector that a share of all images stays below."""
        if self.quantiles is None:
            return math.nan
        return self.quantiles.cosine(self.extractors[feature], vector, share)


def _of_prompt(extractor: Extractor, kept: Mapping[str, Any]) -> list[float]:
    """Take the vector out of what is kept of a prompt."""
    return _vector(extractor, kept["vector"])


def _vector(extractor: Extractor, kept: object) -> list[float]:
    """Take a vector in the space of a feature's images for what it must be."""
    vector: list[float] = as_a(list[float])(kept)
    assert extractor.info is not None
    if len(vector) != extractor.info.embedding_dim:
        raise ValueError(f"{len(vector)} numbers, expected {extractor.info.embedding_dim}")
    return vector
