"""Networks that take what the tables hold: stored embeddings, or uint8 images."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import safetensors.torch
import torch

from wslabel.columns import batches
from wslabel.settings import Augmentations, Preprocess

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


class Augment(torch.nn.Module):
    """Flips, turns and zooms each image of a batch at random, all in one resampling."""

    def __init__(self, how: Augmentations) -> None:
        super().__init__()
        self._how = how

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Change a batch [n, 3, h, w]; what comes from outside is mirrored in."""
        how, count = self._how, len(images)

        def uniform(reach: float) -> torch.Tensor:
            return (torch.rand(count, device=images.device) * 2 - 1) * reach

        def sign(wanted: bool) -> torch.Tensor:  # noqa: FBT001 - a setting
            flipped = torch.rand(count, device=images.device) < (0.5 if wanted else 0.0)
            return 1.0 - 2.0 * flipped

        angle, scale = uniform(math.radians(how.rotation)), 1.0 + uniform(how.zoom)
        # The grid is in units of half an image, so a turn must know its shape.
        ratio = images.shape[2] / images.shape[3]
        x, y = sign(how.horizontal_flip) / scale, sign(how.vertical_flip) / scale
        matrix = torch.zeros(count, 2, 3, device=images.device)
        matrix[:, 0, 0], matrix[:, 0, 1] = angle.cos() * x, -angle.sin() * y * ratio
        matrix[:, 1, 0], matrix[:, 1, 1] = angle.sin() * x / ratio, angle.cos() * y
        grid = torch.nn.functional.affine_grid(matrix, list(images.shape), align_corners=False)
        return torch.nn.functional.grid_sample(
            images, grid, padding_mode="reflection", align_corners=False
        )


class OnImages(torch.nn.Module):
    """A network behind the normalization of its uint8 images [n, h, w, 3]."""

    def __init__(
        self, network: torch.nn.Module, how: Preprocess, augment: Augmentations | None = None
    ) -> None:
        super().__init__()
        self.network = network
        self.augment = None if augment is None else Augment(augment)
        self.mean: torch.Tensor
        self.std: torch.Tensor
        self.register_buffer("mean", torch.tensor(how.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(how.std).view(1, 3, 1, 1), persistent=False)

    def forward(self, images_NHW3: torch.Tensor) -> torch.Tensor:
        """Give logits."""
        images = images_NHW3.permute(0, 3, 1, 2).float() / 255.0
        if self.training and self.augment is not None:
            images = self.augment(images)
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
    augment: Augmentations | None = None

    def __call__(self) -> torch.nn.Module:
        """Build it, from scratch or from the checkpoint that `bare` loads."""
        return OnImages(self.bare(), self.preprocess, self.augment)


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
