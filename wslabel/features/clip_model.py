"""The CLIP feature's model: image embeddings and vectors of prompts; the door to open_clip."""

import os
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import safetensors
import torch

from wslabel.config.preprocess import Preprocess
from wslabel.errors import WeightsError, nearest
from wslabel.features.clip_architecture import read_architecture
from wslabel.features.model_info import ModelInfo
from wslabel.networks.inference import ImageNetwork

# What open_clip and torch let through for files that are no checkpoint of this model.
UNFIT = (RuntimeError, LookupError, ValueError, TypeError, AttributeError, OSError, EOFError,
         ArithmeticError, AssertionError, MemoryError, StopIteration, pickle.UnpicklingError,
         safetensors.SafetensorError)  # fmt: skip


def default_weights(model: str, tag: str) -> Path:
    """Fetch the weights that open_clip knows under a tag.

    Raises:
        WeightsError: there are none, or they cannot be fetched.
    """
    tags = open_clip.list_pretrained_tags_by_model(model)
    if tag not in tags:
        raise WeightsError(f"{model}: no weights '{tag}'; {nearest(tag, tags)}")
    config = open_clip.get_pretrained_cfg(model, tag)
    try:
        return Path(open_clip.download_pretrained(config))
    except (OSError, ValueError, RuntimeError) as error:
        raise WeightsError(f"{model}: weights '{tag}' cannot be fetched ({error})") from None


def _name(model: str) -> str:
    """Make a model config of one's own known to open_clip under the name of its file."""
    if not model.endswith(".json"):
        names = open_clip.list_models()
        if model not in names:
            raise WeightsError(f"open_clip has no model '{model}'; {nearest(model, names)}")
        return model
    path = Path(model)
    read_architecture(path)
    open_clip.add_model_config(path)
    return path.stem


def _refuse_endless(model: str, weights: Path) -> None:
    """Refuse a config with more layers than a checkpoint can hold, which would be built for ever.

    A layer has twelve tensors, which have names, and 12 x width x width numbers.
    """
    keys = read_architecture(Path(model))
    for part in ("vision_cfg", "text_cfg"):
        layers, width = (keys[part].get(key) for key in ("layers", "width"))
        width = width if isinstance(width, int) else 1
        least = layers * 12 * max(30, width**2) if isinstance(layers, int) else 0
        if least > weights.stat().st_size:
            raise WeightsError(
                f"{model}: {part} has {layers:,} layers, of which {weights} holds fewer"
            )


def _create(model: str, weights: Path) -> Any:
    # Without a checkpoint open_clip only warns and returns random weights: always give a path.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        name = _name(model)
        if name != model:
            _refuse_endless(model, weights)
        created = open_clip.create_model(name, pretrained=str(weights))
    except UNFIT as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise WeightsError(f"{weights}: does not fit {model}: {reason}") from None
    return created.eval()


def describe(model: str, weights: Path) -> ModelInfo:
    """Load the model once and read its preprocessing.

    Raises:
        WeightsError: the checkpoint does not fit the model.
    """
    created = _create(model, weights)
    own: dict[str, Any] = open_clip.get_model_preprocess_cfg(created)
    size = own["size"] if isinstance(own["size"], int) else own["size"][0]
    preprocess = Preprocess(
        resize=size,
        mode="squash" if own.get("resize_mode") == "squash" else "shortest",
        crop=size,
        interpolation="bilinear" if own.get("interpolation") == "bilinear" else "bicubic",
        mean=own.get("mean") or open_clip.OPENAI_DATASET_MEAN,
        std=own.get("std") or open_clip.OPENAI_DATASET_STD,
    )
    with torch.inference_mode():
        dim = created.encode_image(torch.zeros(1, 3, size, size)).shape[1]
    return ModelInfo(preprocess, (), dim)


def embed_texts(model: str, weights: Path, texts: Sequence[str]) -> np.ndarray:
    """Embed prompts with the text tower; L2-normalized float32 [num_texts, dim]."""
    created = _create(model, weights)
    tokenizer = open_clip.get_tokenizer(_name(model))
    # Each alone: the last bits of a vector depend on what else is in its batch.
    with torch.inference_mode():
        vectors = [created.encode_text(tokenizer([text]), normalize=True) for text in texts]
    return np.asarray(torch.cat(vectors).float().cpu().numpy())


class _ImageTower(torch.nn.Module):
    def __init__(self, visual: torch.nn.Module) -> None:
        super().__init__()
        self._visual = visual

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.normalize(self._visual(images).float(), dim=-1)


class ClipModel:
    """The model half of the feature: uint8 images to columns."""

    def __init__(self, model: str, weights: Path, info: ModelInfo, precision: str) -> None:
        tower = _ImageTower(_create(model, weights).visual)
        self._network = ImageNetwork(tower, info.preprocess, precision)

    def __call__(self, images_NHW3: np.ndarray) -> dict[str, np.ndarray]:
        """Give the embedding column for one mini-batch."""
        return {"embedding": self.outputs(images_NHW3).astype(np.float16)}

    def outputs(self, images_NHW3: np.ndarray) -> np.ndarray:
        """Give what precisions are compared by: the embedding in float32."""
        return np.asarray(self._network(images_NHW3).cpu().numpy())
