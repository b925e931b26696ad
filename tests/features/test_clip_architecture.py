"""A model config of a stranger makes a network, and fetches and runs nothing."""

import json
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import CLIP_CONFIG
from wslabel.errors import WeightsError
from wslabel.features.clip_architecture import read_architecture


def changed(tmp_path: Path, key: str, value: object) -> Path:
    config: Any = json.loads(json.dumps(CLIP_CONFIG))
    *parts, last = key.split(".")
    place = config
    for part in parts:
        place = place.setdefault(part, {})
    place[last] = value
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(config))
    return path


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("text_cfg.hf_tokenizer_name", "stranger/evil"),
        ("text_cfg.tokenizer_kwargs", {"trust_remote_code": True}),
        ("text_cfg.hf_model_name", "stranger/evil"),
        ("text_cfg.hf_model_pretrained", False),
        ("text_cfg.norm_kwargs", {"device": "cuda"}),
        ("text_cfg.context_length", {"a": 1}),
        ("vision_cfg.timm_model_name", "hf-hub:stranger/evil"),
        ("vision_cfg.timm_model_name", "local-dir:/tmp/x"),
        ("vision_cfg.timm_model_name", "a/b"),
        ("vision_cfg.timm_model_name", ["a"]),
        ("vision_cfg.timm_model_pretrained", True),
        ("vision_cfg.timm_model_pretrained", 1),
        ("vision_cfg.timm_kwargs", {"features_only": True}),
        ("vision_cfg", ["layers"]),
        ("vision_cfg", None),
        ("multimodal_cfg.hf_model_name", "stranger/evil"),
        ("pretrained_hf", True),
        ("preprocess_cfg", {}),
    ],
)
def test_keys_that_could_fetch_or_run_are_refused(tmp_path: Path, key: str, value: object) -> None:
    path = changed(tmp_path, key, value)
    with pytest.raises(WeightsError) as caught:
        read_architecture(path)
    assert str(caught.value).startswith(f"{path}: {key}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["[]", "null", '"embed_dim vision_cfg text_cfg"'])
def test_what_is_no_object_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.json"
    path.write_text(text)
    with pytest.raises(WeightsError, match="expected an open_clip model config"):
        read_architecture(path)


def test_open_clips_own_configs_are_read_but_those_of_other_libraries() -> None:
    num_read, configs = 0, Path(str(resources.files("open_clip"))).glob("model_configs/*.json")
    for path in configs:
        config = json.loads(path.read_text())
        if any(key.startswith(("hf_", "tokenizer_")) for key in config["text_cfg"]):
            with pytest.raises(WeightsError, match="this key is not taken from a file"):
                read_architecture(path)
        else:
            assert read_architecture(path) == config
            num_read += 1
    assert num_read > 80
