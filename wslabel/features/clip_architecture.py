"""An open_clip model config of one's own: what a file of a stranger may say of a network.

open_clip hands other keys to libraries that fetch models and tokenizers by name, and run code that
came with them where a key asks for it.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wslabel.errors import WeightsError, nearest

REQUIRED = ("embed_dim", "vision_cfg", "text_cfg")

TOP = frozenset(
    {
        *REQUIRED,
        *("multimodal_cfg", "quick_gelu", "custom_text"),
        *("init_logit_scale", "init_logit_bias", "nonscalar_logit_scale"),
    }
)
"""Keys of a config."""

TOWER = frozenset(
    {
        *("layers", "width", "mlp_ratio", "ls_init_value", "final_ln_after_pool", "pool_type"),
        *("output_tokens", "act_kwargs", "norm_kwargs", "block_type", "qk_norm", "scale_heads"),
        *("scaled_cosine_attn", "scale_attn_inner", "scale_attn", "scale_fc"),
    }
)
"""Keys of both towers."""

TEXT = TOWER | {
    *("context_length", "vocab_size", "heads", "embed_cls", "pad_id", "eos_id"),
    *("no_causal_mask", "proj_bias", "proj_type"),
}

KEYS: Mapping[str, frozenset[str]] = {
    "vision_cfg": TOWER
    | {
        *("head_width", "patch_size", "image_size", "patch_dropout", "attentional_pool"),
        *("attn_pooler_queries", "attn_pooler_heads", "no_ln_pre", "pos_embed_type"),
        *("timm_model_name", "timm_model_pretrained", "timm_pool", "timm_proj"),
        *("timm_proj_bias", "timm_drop", "timm_drop_path"),
    },
    "text_cfg": TEXT,
    "multimodal_cfg": TEXT | {"dim_head", "n_queries", "attn_pooler_heads"},
    "act_kwargs": frozenset({"approximate"}),
    "norm_kwargs": frozenset({"eps"}),
}
"""Keys of the parts of a config."""

TIMM_NAME = re.compile(r"[\w.-]+")
"""A network that timm has the code of; `hf-hub:` and the like would have it fetched."""


def read_architecture(path: Path) -> dict[str, Any]:
    """Read a model config that is known to make a network and do nothing else.

    Raises:
        WeightsError: It is none, or has a key that could do more.
    """
    keys = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(keys, dict):
        raise WeightsError(f"{path}: expected an open_clip model config, which is an object")
    for key in REQUIRED:
        if key not in keys:
            raise WeightsError(f"{path}: an open_clip model config needs '{key}'")
    _refuse_others(path, "", keys, TOP)
    vision = keys["vision_cfg"]
    name = vision.get("timm_model_name")
    if name is not None and not (isinstance(name, str) and TIMM_NAME.fullmatch(name)):
        raise WeightsError(
            f"{path}: vision_cfg.timm_model_name: expected a name that timm knows, found '{name}'"
        )
    if vision.get("timm_model_pretrained", False) is not False:
        raise WeightsError(
            f"{path}: vision_cfg.timm_model_pretrained: expected false, since the weights are "
            "those that the project file names"
        )
    return keys


def _refuse_others(path: Path, part: str, keys: object, known: frozenset[str]) -> None:
    """Refuse what is no object of known keys with plain values."""
    if not isinstance(keys, dict):
        raise WeightsError(f"{path}: {part.rstrip('.')}: expected an object")
    for key, value in keys.items():
        if key not in known:
            raise WeightsError(
                f"{path}: {part}{key}: this key is not taken from a file, since it is unknown or "
                f"could fetch or run what others made; {nearest(key, known)}"
            )
        if key in KEYS:
            if value is not None or not part:
                _refuse_others(path, f"{part}{key}.", value, KEYS[key])
        elif not _is_plain(value):
            raise WeightsError(f"{path}: {part}{key}: expected a number, a word, or numbers")


def _is_plain(value: object) -> bool:
    if isinstance(value, list):
        return all(isinstance(one, int | float) for one in value)
    return value is None or isinstance(value, str | int | float)
