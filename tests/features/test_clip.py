"""CLIP's settings: files or names of open_clip's, and what decides its values."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.features.sections import clip as section
from wslabel.config.preprocess import Preprocess
from wslabel.features.clip import ClipConfig
from wslabel.features.model_info import ModelInfo


def test_it_stores_one_embedding() -> None:
    settings = ClipConfig(kind="clip")
    (field,) = settings.columns(ModelInfo(Preprocess(), (), 16))
    assert settings.stores_embedding
    assert (field.name, field.type.value_type, field.type.list_size) == (
        "embedding",
        pa.float16(),
        16,
    )


@pytest.mark.parametrize(
    ("weights", "is_file"),
    [("laion2b_s34b_b79k", False), ("s3://bucket/clip.pt", True), ("/models/clip.pt", True)],
)
def test_weights_are_a_tag_or_a_file(weights: str, is_file: bool) -> None:
    assert ClipConfig(kind="clip", weights=weights).has_weights_file == is_file


def test_a_model_config_is_fetched_and_counts_by_its_content(networks: Any) -> None:
    settings = section(networks)
    local = settings.with_local_files(lambda uri: Path("/local") / Path(uri).name)
    assert local.model == f"/local/{networks.clip_config.name}"
    assert settings.identity(lambda path: f"hash of {path}") == [
        {"version": 1, "kind": "clip", "model": f"hash of {networks.clip_config}"},
        None,
    ]


def test_a_model_of_open_clips_counts_by_its_name() -> None:
    settings = ClipConfig(kind="clip", precision="bfloat16", batch_size=3)
    assert settings.with_local_files(Path) is settings
    assert settings.identity(str) == [{"version": 1, "kind": "clip"}, None]
    other = settings.model_copy(update={"model": "ViT-L-14"})
    assert other.identity(str)[0] == {"version": 1, "kind": "clip", "model": "ViT-L-14"}
