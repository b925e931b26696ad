"""Trained networks at work: rebuilt from their files, giving probabilities or features."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import safetensors
import safetensors.torch
import torch

from wslabel.columns import batches
from wslabel.errors import WeightsError
from wslabel.networks.factory import Builder
from wslabel.networks.inference import device
from wslabel.networks.modules import head

BATCH_SIZE = 256


def deserialize(build: Builder, data: bytes, name: str = "a trained network") -> torch.nn.Module:
    """Rebuild a trained network from its safetensors file, ready to predict.

    Args:
        build: builds the bare network.
        data: its safetensors file.
        name: name of the file, for the message.

    Raises:
        WeightsError: the file is damaged, or of another network.
    """
    network = build()
    with _refusing(name):
        network.load_state_dict(safetensors.torch.load(data))
    return network.eval()


@contextmanager
def _refusing(name: str) -> Iterator[None]:
    """Say that a file does not hold what it should, as others than wslabel may have written it."""
    try:
        yield
    except (safetensors.SafetensorError, RuntimeError, LookupError, ValueError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise WeightsError(
            f"{name}: this file is not as wslabel writes it ({reason}); remove its folder, then "
            "the network is trained anew"
        ) from None


class Predictor:
    """A trained network that gives probabilities for whatever it was trained on."""

    def __init__(
        self,
        build: Builder,
        data: bytes,
        *,
        per_class: bool = False,
        name: str = "a trained network",
    ) -> None:
        """Load a network.

        Args:
            build: builds the bare network.
            data: its safetensors file.
            per_class: Whether it judges each class for itself.
            name: name of the file, for messages.
        """
        self._device = device()
        self._network = deserialize(build, data, name).to(self._device)
        self._per_class = per_class

    @property
    def num_bytes(self) -> int:
        """Memory that its weights take."""
        return sum(tensor.nbytes for tensor in self._network.state_dict().values())

    @torch.inference_mode()
    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """Give class probabilities; float32 [n, K], of at least one input."""
        parts = []
        for batch in batches(inputs, BATCH_SIZE):
            logits_NK = self._network(torch.from_numpy(batch).to(self._device))
            parts.append(probabilities(logits_NK, per_class=self._per_class).cpu().numpy())
        return np.concatenate(parts)


class Embedder:
    """The features that a network's body gives to its head."""

    def __init__(self, build: Builder, seed: int, data: bytes | None) -> None:
        """Build a network from a seed, without its head.

        Args:
            build: builds the whole network.
            seed: Seed of its random weights.
            data: a safetensors file that fills its body; None leaves the body random.
        """
        torch.manual_seed(seed)
        self._device = device()
        network = build()
        last = head(network)
        if data is not None:
            with _refusing("the pretrained body"):
                state, own = safetensors.torch.load(data), network.state_dict()
                body = {k: state[k] for k in own if not k.startswith(f"{last}.")}
                network.load_state_dict(own | body)
        network.set_submodule(last, torch.nn.Identity())
        self._network = network.eval().to(self._device)

    @torch.inference_mode()
    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """Give features; float32 [n, D], of at least one input."""
        parts = [
            self._network(torch.from_numpy(batch).to(self._device)).float().cpu().numpy()
            for batch in batches(inputs, BATCH_SIZE)
        ]
        return np.concatenate(parts)


def probabilities(logits_NK: torch.Tensor, *, per_class: bool) -> torch.Tensor:
    """Turn logits into probabilities that add up to one over the classes."""
    if not per_class:
        return logits_NK.float().softmax(dim=1)
    each_NK = logits_NK.float().sigmoid()
    return each_NK / each_NK.sum(dim=1, keepdim=True)
