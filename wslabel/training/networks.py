"""Networks that take what the tables hold: stored embeddings, or uint8 images."""

from collections.abc import Callable
from dataclasses import dataclass

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


class OnImages(torch.nn.Module):
    """A network behind the normalization of its uint8 images [n, h, w, 3]."""

    def __init__(self, network: torch.nn.Module, how: Preprocess) -> None:
        super().__init__()
        self.network = network
        self.mean: torch.Tensor
        self.std: torch.Tensor
        self.register_buffer("mean", torch.tensor(how.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(how.std).view(1, 3, 1, 1), persistent=False)

    def forward(self, images_NHW3: torch.Tensor) -> torch.Tensor:
        """Give logits."""
        images = images_NHW3.permute(0, 3, 1, 2).float() / 255.0
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


def deserialize(make: Callable[[], torch.nn.Module], data: bytes) -> torch.nn.Module:
    """Rebuild a trained network from its safetensors file, ready to predict."""
    network = make()
    network.load_state_dict(safetensors.torch.load(data))
    return network.eval()


class Predictor:
    """A trained network that gives probabilities for whatever it was trained on."""

    def __init__(self, make: Callable[[], torch.nn.Module], data: bytes) -> None:
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._network = deserialize(make, data).to(self._device)

    @torch.inference_mode()
    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Give class probabilities; float32 [n, K], of at least one input."""
        parts = [
            self._network(torch.from_numpy(batch).to(self._device)).softmax(dim=1).cpu().numpy()
            for batch in batches(values, BATCH_SIZE)
        ]
        return np.concatenate(parts)
