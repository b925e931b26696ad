"""From the `training:` of a config to what builds its network in any process."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from wslabel.errors import WeightsError
from wslabel.settings import S3, Classifier, Training
from wslabel.steps import doors
from wslabel.steps.extractors import Extractor, locate
from wslabel.storage import files


@dataclass(frozen=True)
class MakeBare:
    """Builds a torchvision or timm network with as many outputs as there are classes."""

    model: str
    num_classes: int
    weights: str | None
    s3: S3

    def __call__(self) -> Any:
        """Build it, from random numbers or from a checkpoint whose head is left out."""
        network = doors.feature("classifier").build(self.model, {"num_classes": self.num_classes})
        path = start(self.model, self.weights, self.s3)
        if path is not None:
            doors.room("features.network").load_body(network, path, self.model)
        return network


def maker(training: Training, extractor: Extractor, num_classes: int, s3: S3) -> Callable[[], Any]:
    """Give what builds the network of a config.

    Raises:
        WeightsError: the network exists in no library, or its feature has no embedding.
    """
    networks = doors.room("training.networks")
    if training.network == "linear":
        assert extractor.card is not None
        if extractor.card.embedding_dim is None:
            raise WeightsError(f"feature {extractor.name} stores no embedding")
        made: Callable[[], Any] = networks.MakeLinear(extractor.card.embedding_dim, num_classes)
        return made
    bare: Callable[[], Any] = MakeBare(training.network, num_classes, training.weights, s3)
    if training.network == "cnn":
        bare = partial(networks.Cnn, num_classes)
    on_images: Callable[[], Any] = networks.MakeOnImages(
        bare, training.preprocess, training.augment
    )
    return on_images


def start_sha256(training: Training, s3: S3) -> str | None:
    """Hash the checkpoint that training starts from."""
    path = start(training.network, training.weights, s3)
    return None if path is None else files.content_hash(path)


def start(model: str, weights: str | None, s3: S3) -> Path | None:
    """Give the checkpoint that a network starts from as a local path, if there is one.

    Raises:
        WeightsError: it is absent, or cannot be fetched.
    """
    if weights == "DEFAULT":
        return locate(Classifier(kind="classifier", model=model), s3)
    return None if weights is None else files.local_copy(weights, s3)
