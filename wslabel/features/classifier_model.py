"""The classifier feature's network: logits and pooled embedding of uint8 images."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from wslabel.config.preprocess import Preprocess
from wslabel.errors import WeightsError
from wslabel.features.model_info import ModelInfo
from wslabel.networks.inference import ImageNetwork
from wslabel.networks.weights import load_state, refusing_size
from wslabel.networks.zoo import build


@dataclass(frozen=True, kw_only=True)
class Classifier:
    """A torchvision or timm network by name, with its weights.

    Attributes:
        model: Library and name, as `timm/resnet18`.
        options: Arguments that the library builds it with.
        weights: Checkpoint that must fit it exactly.
        top_k: Categories wanted of each image; 0 for none.
    """

    model: str
    options: dict[str, Any]
    weights: Path
    top_k: int

    def describe(self, preprocess: Preprocess, categories: tuple[str, ...]) -> ModelInfo:
        """Run it once and see that as many categories as outputs are named.

        Raises:
            WeightsError: Weights or category names do not fit the network.
        """
        logits, embedding = self._answer_to_black(preprocess.crop)
        if self.top_k and len(categories) != logits.shape[1]:
            raise WeightsError(
                f"{self.model}: {len(categories)} category names for {logits.shape[1]} outputs"
            )
        if self.top_k > logits.shape[1]:
            raise WeightsError(
                f"{self.model}: top_k {self.top_k} of only {logits.shape[1]} outputs"
            )
        return ModelInfo(preprocess, categories, embedding.shape[1])

    @torch.inference_mode()
    def _answer_to_black(self, side: int) -> tuple[torch.Tensor, torch.Tensor]:
        answer = self._module().eval()
        with refusing_size(self.model, side):
            logits, embedding = answer(torch.zeros(1, 3, side, side))
        return logits, embedding

    def load(self, info: ModelInfo, precision: str, *, embedding: bool) -> "ClassifierModel":
        """Load it on the device that this process may use."""
        network = ImageNetwork(self._module(), info.preprocess, precision)
        return ClassifierModel(network, self.top_k, embedding=embedding)

    def _module(self) -> "_Heads":
        network = build(self.model, self.options)
        load_state(network, self.weights, self.model)
        return _Heads(network)


class _Heads(torch.nn.Module):
    """A network that gives its logits and the input of its last linear layer."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self._network = network
        linear = [m for m in network.modules() if isinstance(m, torch.nn.Linear)]
        self._pooled: list[torch.Tensor] = []
        if linear:
            linear[-1].register_forward_pre_hook(self._keep)

    def _keep(self, _: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        self._pooled.append(inputs[0])

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Give logits and pooled embedding; a headless network's output is its embedding."""
        self._pooled.clear()
        logits = self._network(images)
        return logits, self._pooled[-1] if self._pooled else logits


class ClassifierModel:
    """The model half of the feature: uint8 images to columns."""

    def __init__(self, network: ImageNetwork, top_k: int, *, embedding: bool) -> None:
        self._network, self._top_k, self._embedding = network, top_k, embedding

    def __call__(self, images_NHW3: np.ndarray) -> dict[str, np.ndarray]:
        """Give the columns for one mini-batch."""
        logits, embedding = self._network(images_NHW3)
        columns: dict[str, np.ndarray] = {}
        if self._top_k:
            top = logits.float().softmax(dim=1).topk(self._top_k)
            columns["category_ids"] = top.indices.cpu().numpy().astype(np.int16)
            columns["category_probabilities"] = top.values.cpu().numpy()
        if self._embedding:
            columns["embedding"] = embedding.to(torch.float16).cpu().numpy()
        return columns

    def outputs(self, images_NHW3: np.ndarray) -> np.ndarray:
        """Give what precisions are compared by: the logits, or the embedding of a headless net."""
        logits, _ = self._network(images_NHW3)
        return np.asarray(logits.float().cpu().numpy())
