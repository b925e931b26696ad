"""From the settings of a network to what builds it in any process."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wslabel.errors import WeightsError
from wslabel.settings import S3, Classifier, Optimization
from wslabel.steps import doors
from wslabel.steps.extractors import Extractor, locate
from wslabel.storage import files


@dataclass(frozen=True)
class MakeBare:
    """Builds a torchvision or timm network, or a cnn, with as many outputs as are wanted."""

    model: str
    num_outputs: int

    def __call__(self) -> Any:
        """Build it from random numbers."""
        if self.model == "cnn":
            return doors.room("training.networks").Cnn(self.num_outputs)
        return doors.feature("classifier").build(self.model, {"num_classes": self.num_outputs})


@dataclass(frozen=True)
class Started:
    """Builds a network on images whose body is that of a checkpoint."""

    make: Callable[[], Any]
    model: str
    weights: str
    s3: S3

    def __call__(self) -> Any:
        """Build it; the head stays random."""
        network = self.make()
        path = start(self.model, self.weights, self.s3)
        doors.room("features.network").load_body(network.network, path, self.model)
        return network


def maker(how: Optimization, extractor: Extractor, num_outputs: int) -> Callable[[], Any]:
    """Give what builds the network of a config from random numbers.

    Raises:
        WeightsError: its feature has no embedding.
    """
    networks = doors.room("training.networks")
    if how.network == "linear":
        assert extractor.card is not None
        if extractor.card.embedding_dim is None:
            raise WeightsError(f"feature {extractor.name} stores no embedding")
        made: Callable[[], Any] = networks.MakeLinear(extractor.card.embedding_dim, num_outputs)
        return made
    bare = MakeBare(how.network, num_outputs)
    on_images: Callable[[], Any] = networks.MakeOnImages(bare, how.preprocess)
    return on_images


def start_sha256(how: Optimization, s3: S3) -> str | None:
    """Hash the checkpoint that training starts from; None where it is in no file yet."""
    if how.weights in (None, "pretrained"):
        return None
    return files.content_hash(start(how.network, how.weights, s3))


def check_start(how: Optimization, make: Callable[[], Any], s3: S3) -> None:
    """See that a network takes the checkpoint that it starts from, before workers are started.

    Raises:
        WeightsError: it does not fit, or training would spoil it.
    """
    if how.weights is None:
        return
    make()
    if how.weights != "pretrained" and how.batch_norm != "frozen":
        doors.room("features.network").refuse_folded(start(how.network, how.weights, s3))


def start(model: str, weights: str, s3: S3) -> Path:
    """Give the checkpoint that a network starts from as a local path.

    Raises:
        WeightsError: it is absent, or cannot be fetched.
    """
    if weights == "DEFAULT":
        return locate(Classifier(kind="classifier", model=model), s3)
    return files.local_copy(weights, s3)
