"""Networks that take what the tables hold: stored embeddings, or uint8 images."""

from collections.abc import Iterator
from itertools import pairwise

import torch

from wslabel.config.preprocess import Preprocess
from wslabel.errors import WeightsError


class LinearHead(torch.nn.Module):
    """One linear layer on a stored embedding."""

    def __init__(self, embedding_dim: int, num_outputs: int) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(embedding_dim, num_outputs)

    def forward(self, embeddings_ND: torch.Tensor) -> torch.Tensor:
        """Give logits."""
        logits: torch.Tensor = self.linear(embeddings_ND.float())
        return logits


class Cnn(torch.nn.Sequential):
    """Three convolutions with pooling and a linear layer: what a first tutorial trains."""

    def __init__(self, num_outputs: int, widths: tuple[int, ...] = (32, 64, 128)) -> None:
        layers: list[torch.nn.Module] = []
        for before, width in pairwise((3, *widths)):
            convolution = torch.nn.Conv2d(before, width, 3, padding=1, bias=False)
            layers += [convolution, torch.nn.BatchNorm2d(width), torch.nn.ReLU()]
            layers.append(torch.nn.MaxPool2d(2))
        layers += [torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Dropout(0.2)]
        super().__init__(*layers, torch.nn.Linear(widths[-1], num_outputs))


class OnImages(torch.nn.Module):
    """A network behind the normalization of its images [n, h, w, 3], uint8 or float in 0..1."""

    def __init__(self, network: torch.nn.Module, preprocess: Preprocess) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)
        self.mean: torch.Tensor
        self.std: torch.Tensor
        mean, std = (torch.tensor(three) for three in (preprocess.mean, preprocess.std))
        self.register_buffer("mean", mean.view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", std.view(1, 3, 1, 1), persistent=False)

    def forward(self, images_NHW3: torch.Tensor) -> torch.Tensor:
        """Give logits."""
        images = images_NHW3.permute(0, 3, 1, 2).float()  # channels last, as the network is
        if not images_NHW3.is_floating_point():
            images = images / 255.0
        logits: torch.Tensor = self.network((images - self.mean) / self.std)
        return logits


class ProjectionHead(torch.nn.Sequential):
    """Two linear layers that project features into the space in which SimCLR compares them."""

    def __init__(self, feature_dim: int, projection_dim: int) -> None:
        widen = torch.nn.Linear(feature_dim, feature_dim)
        project = torch.nn.Linear(feature_dim, projection_dim)
        super().__init__(widen, torch.nn.ReLU(), project)


def head(network: torch.nn.Module) -> str:
    """Name the last linear layer, which turns features into answers.

    Raises:
        WeightsError: There is none.
    """
    linear = [n for n, m in network.named_modules() if isinstance(m, torch.nn.Linear)]
    if not linear:
        raise WeightsError("the network has no linear layer that could be its head; take another")
    return str(linear[-1])


def body_parameters(network: torch.nn.Module) -> Iterator[torch.nn.Parameter]:
    """Go through the parameters of all but the head."""
    last = head(network)
    return (p for n, p in network.named_parameters() if not n.startswith(f"{last}."))
