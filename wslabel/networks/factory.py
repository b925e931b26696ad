"""Builders: what builds a network from random numbers, in any process that it is sent to.

A builder is a small picklable value; calling it makes the module. Builders nest: one on images
takes the builder of the bare network, one that projects takes the builder of what it extends.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from wslabel.config.optimization import Optimization
from wslabel.config.preprocess import Preprocess
from wslabel.networks.modules import Cnn, LinearHead, OnImages, ProjectionHead, head

Builder = Callable[[], torch.nn.Module]
"""Builds a network anew each time, from torch's own generator of random numbers."""


@dataclass(frozen=True)
class BuildLinear:
    """Builds a linear head on stored embeddings."""

    embedding_dim: int
    num_outputs: int

    def __call__(self) -> torch.nn.Module:
        """Build it, with random weights."""
        return LinearHead(self.embedding_dim, self.num_outputs)


@dataclass(frozen=True)
class BuildBare:
    """Builds a torchvision or timm network, or a cnn, with as many outputs as are wanted."""

    model: str
    num_outputs: int

    def __call__(self) -> torch.nn.Module:
        """Build it, with random weights."""
        if self.model == "cnn":
            return Cnn(self.num_outputs)
        from wslabel.networks import zoo  # noqa: PLC0415 - loads timm, which a linear head needs not

        return zoo.build(self.model, {"num_classes": self.num_outputs})


@dataclass(frozen=True)
class BuildOnImages:
    """Builds a network on images from whatever builds the bare network."""

    build_bare: Builder
    preprocess: Preprocess

    def __call__(self) -> torch.nn.Module:
        """Build it, with the weights that the bare network is built with."""
        return OnImages(self.build_bare(), self.preprocess)


@dataclass(frozen=True)
class BuildProjecting:
    """Builds a network whose head projects features instead of judging classes."""

    build: Builder
    projection_dim: int

    def __call__(self) -> torch.nn.Module:
        """Build it; the head is random whatever the body starts from."""
        network = self.build()
        name = head(network)
        last = network.get_submodule(name)
        assert isinstance(last, torch.nn.Linear)
        network.set_submodule(name, ProjectionHead(last.in_features, self.projection_dim))
        return network


def builder(settings: Optimization, embedding_dim: int | None, num_outputs: int) -> Builder:
    """Choose the builder of the network that some settings name.

    Args:
        settings: Name the network and the preprocessing of its images.
        embedding_dim: Width of the stored embeddings; None where it reads images.
        num_outputs: Number of classes, or of whatever is told apart.
    """
    if settings.network == "linear":
        assert embedding_dim is not None
        return BuildLinear(embedding_dim, num_outputs)
    return BuildOnImages(BuildBare(settings.network, num_outputs), settings.preprocess)
