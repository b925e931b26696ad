"""Networks that take what the tables hold: stored embeddings, or uint8 images."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import safetensors.torch
import torch

from wslabel.columns import batches
from wslabel.settings import Preprocess

BATCH_SIZE = 256


class LinearHead(torch.nn.Module):
    """One linear layer on a stored embedding."""

    def __init__(self, embedding_dim: int, num_classes: int) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(embedding_dim, num_classes)

    def forward(self, embeddings_ND: torch.Tensor) -> torch.Tensor:
        """Give logits."""
        logits: torch.Tensor = self.linear(embeddings_ND.float())
        return logits


class Cnn(torch.nn.Sequential):
    """Three convolutions with pooling and a linear layer: what a first tutorial trains."""

    def __init__(self, num_classes: int, widths: tuple[int, ...] = (32, 64, 128)) -> None:
        layers: list[torch.nn.Module] = []
        for before, width in pairwise((3, *widths)):
            convolution = torch.nn.Conv2d(before, width, 3, padding=1, bias=False)
            layers += [convolution, torch.nn.BatchNorm2d(width), torch.nn.ReLU()]
            layers.append(torch.nn.MaxPool2d(2))
        layers += [torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Dropout(0.2)]
        super().__init__(*layers, torch.nn.Linear(widths[-1], num_classes))


class OnImages(torch.nn.Module):
    """A network behind the normalization of its images [n, h, w, 3], uint8 or float in 0..1."""

    def __init__(self, network: torch.nn.Module, how: Preprocess) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)
        self.mean: torch.Tensor
        self.std: torch.Tensor
        self.register_buffer("mean", torch.tensor(how.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(how.std).view(1, 3, 1, 1), persistent=False)

    def forward(self, images_NHW3: torch.Tensor) -> torch.Tensor:
        """Give logits."""
        images = images_NHW3.permute(0, 3, 1, 2).float()  # channels last, as the network is
        if not images_NHW3.is_floating_point():
            images = images / 255.0
        logits: torch.Tensor = self.network((images - self.mean) / self.std)
        return logits


@dataclass(frozen=True)
class MakeLinear:
    """Builds a linear head."""

    embedding_dim: int
    num_classes: int

    def __call__(self) -> torch.nn.Module:
        """Build it, with random weights."""
        return LinearHead(self.embedding_dim, self.num_classes)


@dataclass(frozen=True)
class MakeOnImages:
    """Builds a network on images from whatever makes the bare network."""

    bare: Callable[[], torch.nn.Module]
    preprocess: Preprocess

    def __call__(self) -> torch.nn.Module:
        """Build it, from scratch or from the checkpoint that `bare` loads."""
        return OnImages(self.bare(), self.preprocess)


@dataclass(frozen=True)
class MakeProjecting:
    """Builds a network on images whose head projects features, as SimCLR compares them."""

    make: Callable[[], torch.nn.Module]
    projection_dim: int

    def __call__(self) -> torch.nn.Module:
        """Build it, with random weights."""
        network = self.make()
        name = head(network)
        last = network.get_submodule(name)
        assert isinstance(last, torch.nn.Linear)
        wide = last.in_features
        layers = torch.nn.Linear(wide, wide), torch.nn.Linear(wide, self.projection_dim)
        network.set_submodule(name, torch.nn.Sequential(layers[0], torch.nn.ReLU(), layers[1]))
        return network


def head(network: torch.nn.Module) -> str:
    """Name the last linear layer, which turns features into answers."""
    linear = (n for n, m in network.named_modules() if isinstance(m, torch.nn.Linear))
    return str(list(linear)[-1])


def body_parameters(network: torch.nn.Module) -> Iterator[torch.nn.Parameter]:
    """Go through the parameters of all but the head."""
    last = head(network)
    return (p for n, p in network.named_parameters() if not n.startswith(f"{last}."))


def deserialize(make: Callable[[], torch.nn.Module], data: bytes) -> torch.nn.Module:
    """Rebuild a trained network from its safetensors file, ready to predict."""
    network = make()
    network.load_state_dict(safetensors.torch.load(data))
    return network.eval()


class Predictor:
    """A trained network that gives probabilities for whatever it was trained on."""

    def __init__(
        self, make: Callable[[], torch.nn.Module], data: bytes, *, per_class: bool = False
    ) -> None:
        """Load it; `per_class` where it judges each class for itself."""
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._network = deserialize(make, data).to(self._device)
        self._per_class = per_class

    @torch.inference_mode()
    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Give class probabilities; float32 [n, K], of at least one input."""
        parts = []
        for batch in batches(values, BATCH_SIZE):
            logits = self._network(torch.from_numpy(batch).to(self._device))
            parts.append(probabilities(logits, per_class=self._per_class).cpu().numpy())
        return np.concatenate(parts)


class Embedder:
    """The features that a network's body gives to its head."""

    def __init__(self, make: Callable[[], torch.nn.Module], seed: int, data: bytes | None) -> None:
        """Build it from a seed, and fill its body from a safetensors file where there is one."""
        torch.manual_seed(seed)
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        network = make()
        last = head(network)
        if data is not None:
            state, own = safetensors.torch.load(data), network.state_dict()
            body = {k: state[k] for k in own if not k.startswith(f"{last}.")}
            network.load_state_dict(own | body)
        network.set_submodule(last, torch.nn.Identity())
        self._network = network.eval().to(self._device)

    @torch.inference_mode()
    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Give features; float32 [n, D], of at least one input."""
        parts = [
            self._network(torch.from_numpy(batch).to(self._device)).float().cpu().numpy()
            for batch in batches(values, BATCH_SIZE)
        ]
        return np.concatenate(parts)


def probabilities(logits_NK: torch.Tensor, *, per_class: bool) -> torch.Tensor:
    """Turn logits into probabilities that add up to one over the classes."""
    if not per_class:
        return logits_NK.float().softmax(dim=1)
    each_NK = logits_NK.float().sigmoid()
    return each_NK / each_NK.sum(dim=1, keepdim=True)
