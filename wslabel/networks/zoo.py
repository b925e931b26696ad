"""Networks by their library's name for them; the door to torchvision's and timm's models."""

from pathlib import Path
from typing import Any

import timm
import torch
import torchvision

from wslabel.config.preprocess import Preprocess
from wslabel.errors import WeightsError, nearest

WEIGHTS_KEYS = ("weights", "weights_backbone", "pretrained", "pretrained_cfg",
                "pretrained_cfg_overlay", "checkpoint_path", "cache_dir")  # fmt: skip
"""Options by which the libraries themselves would fetch and unpickle weights."""


def build(model: str, options: dict[str, Any]) -> torch.nn.Module:
    """Build a network by its library's name for it, with random weights.

    Args:
        model: `torchvision/NAME` or `timm/NAME`.
        options: keyword arguments of the library's own constructor.

    Raises:
        WeightsError: the library has no such network, or refuses the options.
    """
    library, name = _split(model)
    names = torchvision.models.list_models() if library == "torchvision" else timm.list_models()
    if name not in names:
        raise WeightsError(f"{library} has no network '{name}'; {nearest(name, names)}")
    make = torchvision.models.get_model if library == "torchvision" else timm.create_model
    for key in options:
        if key in WEIGHTS_KEYS:
            raise WeightsError(f"{model}: model_options.{key}: weights come from the key weights")
    try:
        network: torch.nn.Module = make(name, **options)
    except (TypeError, ValueError, RuntimeError) as error:
        raise WeightsError(f"{model}: refused model_options {options}: {error}") from None
    return network


def default_weights(model: str) -> Path:
    """Fetch the pretrained weights that the model's library offers.

    Raises:
        WeightsError: there are none, or they cannot be fetched.
    """
    library, name = _split(model)
    try:
        if library == "torchvision":
            return _torchvision_weights(name)
        config = timm.get_pretrained_cfg(name)
        if config is None or not config.hf_hub_id:
            raise WeightsError(f"{model}: timm offers no pretrained weights; name a file")
        return Path(timm.models._hub.hf_hub_download(config.hf_hub_id, "model.safetensors"))
    except (OSError, ValueError, RuntimeError) as error:
        raise WeightsError(
            f"{model}: its DEFAULT weights cannot be fetched ({error}); name a file"
        ) from None


def _torchvision_weights(name: str) -> Path:
    """Fetch a file and look at nothing in it: `read_state` will, and runs no code.

    torchvision itself unpickles what it fetched, of which it knows 8 digits of the hash. Here they
    tell a damaged file; a table is named by all 64 of the file that was fetched.
    """
    url = torchvision.models.get_model_weights(name).DEFAULT.url
    target = Path(torch.hub.get_dir(), "checkpoints", url.rpartition("/")[2])
    if not target.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        digits = torch.hub.HASH_REGEX.search(target.name)
        prefix = None if digits is None else digits.group(1)
        torch.hub.download_url_to_file(url, str(target), hash_prefix=prefix, progress=False)
    return target


def own_preprocess(model: str) -> Preprocess:
    """Look up the preprocessing that the pretrained weights of a model were made with."""
    library, name = _split(model)
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


def own_categories(model: str) -> tuple[str, ...]:
    """Name the categories of a model's pretrained weights, in the order of its outputs."""
    library, name = _split(model)
    if library == "torchvision":
        return tuple(torchvision.models.get_model_weights(name).DEFAULT.meta["categories"])
    info = timm.data.ImageNetInfo()
    return tuple(info.index_to_description(i) for i in range(info.num_classes()))


def synchronized(network: torch.nn.Module) -> torch.nn.Module:
    """Exchange batch normalizations for those that take their statistics over all GPUs.

    timm's converter knows timm's own normalizations, which carry their activation with them, and
    treats all others as `torch.nn.SyncBatchNorm.convert_sync_batchnorm` does, which would drop it.
    """
    converted: torch.nn.Module = timm.layers.convert_sync_batchnorm(network)
    return converted


def _split(model: str) -> tuple[str, str]:
    library, _, name = model.partition("/")
    return library, name
