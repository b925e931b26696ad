"""Classifier feature: the top categories of a torchvision or timm network, and its embedding."""

from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
import torchvision

from wslabel.errors import WeightsError, nearest
from wslabel.features.card import Card
from wslabel.features.network import Network, load_state
from wslabel.settings import Classifier, Preprocess


def default_weights(settings: Classifier) -> Path:
    """Fetch the pretrained weights that the model's library offers.

    Raises:
        WeightsError: there are none, or they cannot be fetched.
    """
    library, _, name = settings.model.partition("/")
    try:
        if library == "torchvision":
            url = torchvision.models.get_model_weights(name).DEFAULT.url
            target = Path(torch.hub.get_dir(), "checkpoints", url.rpartition("/")[2])
            if not target.is_file():
                torch.hub.load_state_dict_from_url(url, progress=False, check_hash=True)
            return target
        config = timm.get_pretrained_cfg(name)
        if config is None or not config.hf_hub_id:
            raise WeightsError(f"{settings.model}: timm offers no pretrained weights; name a file")
        return Path(timm.models._hub.hf_hub_download(config.hf_hub_id, "model.safetensors"))
    except (OSError, ValueError) as error:
        raise WeightsError(
            f"{settings.model}: its DEFAULT weights cannot be fetched ({error}); name a file"
        ) from None


def build(model: str, options: dict[str, Any]) -> torch.nn.Module:
    """Build a network by its library's name for it, without weights.

    Raises:
        WeightsError: the library has no such network, or refuses the options.
    """
    library, _, name = model.partition("/")
    names = torchvision.models.list_models() if library == "torchvision" else timm.list_models()
    if name not in names:
        raise WeightsError(f"{library} has no network '{name}'; {nearest(name, names)}")
    make = torchvision.models.get_model if library == "torchvision" else timm.create_model
    try:
        network: torch.nn.Module = make(name, **options)
    except (TypeError, ValueError, RuntimeError) as error:
        raise WeightsError(f"{model}: refused model_options {options}: {error}") from None
    return network


def describe(settings: Classifier, weights: Path) -> Card:
    """Load the network once and see that weights, categories and preprocessing fit it.

    Raises:
        WeightsError: they do not.
    """
    module = _Heads(settings, weights)
    how = settings.preprocess or _own_preprocess(settings)
    with torch.inference_mode():
        logits, embedding = module.eval()(torch.zeros(1, 3, how.crop, how.crop))
    categories = _categories(settings) if settings.top_k else ()
    if settings.top_k and len(categories) != logits.shape[1]:
        raise WeightsError(
            f"{settings.model}: {len(categories)} category names for {logits.shape[1]} outputs"
        )
    if settings.top_k > logits.shape[1]:
        raise WeightsError(
            f"{settings.model}: top_k {settings.top_k} of only {logits.shape[1]} outputs"
        )
    return Card(how, categories, embedding.shape[1] if settings.embedding else None)


def _own_preprocess(settings: Classifier) -> Preprocess:
    library, _, name = settings.model.partition("/")
    if library == "torchvision":
        own = torchvision.models.get_model_weights(name).DEFAULT.transforms()
        return Preprocess(
            resize=own.resize_size[0],
            crop=own.crop_size[0],
            interpolation=own.interpolation.value,
            mean=tuple(own.mean),
            std=tuple(own.std),
        )
    own = timm.data.resolve_data_config(pretrained_cfg=timm.get_pretrained_cfg(name).to_dict())
    crop = own["input_size"][1]
    return Preprocess(
        resize=int(crop / own["crop_pct"]),
        mode="squash" if own["crop_mode"] == "squash" else "shortest",
        crop=crop,
        interpolation="bicubic" if own["interpolation"] == "bicubic" else "bilinear",
        mean=own["mean"],
        std=own["std"],
    )


def _categories(settings: Classifier) -> tuple[str, ...]:
    given = settings.categories
    if isinstance(given, list):
        return tuple(given)
    if given is not None:
        lines = Path(given.file).read_text(encoding="utf-8").splitlines()
        return tuple(line.strip() for line in lines[given.skip_lines :] if line.strip())
    library, _, name = settings.model.partition("/")
    if library == "torchvision":
        return tuple(torchvision.models.get_model_weights(name).DEFAULT.meta["categories"])
    info = timm.data.ImageNetInfo()
    return tuple(info.index_to_description(i) for i in range(info.num_classes()))


class _Heads(torch.nn.Module):
    """A network that gives its logits and the input of its last linear layer."""

    def __init__(self, settings: Classifier, weights: Path) -> None:
        super().__init__()
        self._network = build(settings.model, settings.model_options)
        load_state(self._network, weights, settings.model)
        linear = [m for m in self._network.modules() if isinstance(m, torch.nn.Linear)]
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


class Model:
    """The model half of the feature: uint8 images to columns."""

    def __init__(self, settings: Classifier, card: Card, weights: Path, precision: str) -> None:
        self._network = Network(_Heads(settings, weights), card.preprocess, precision)
        self._top_k = settings.top_k
        self._embedding = settings.embedding

    def __call__(self, images_NHW3: np.ndarray) -> dict[str, np.ndarray]:
        """Give the columns of `schema.classifier` for one mini-batch."""
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
