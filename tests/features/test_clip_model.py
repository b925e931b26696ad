"""CLIP's vectors are open_clip's own, and never random."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image

from tests.features.sections import clip as section
from wslabel.errors import WeightsError
from wslabel.features import clip_model, resize
from wslabel.features.decode import Decoded

TEXTS = ["a photo of the sea", "a photo of the jungle", "a toaster"]


@pytest.fixture(scope="module")
def theirs(networks: Any) -> tuple[Any, Any]:
    model, _, preprocess = open_clip.create_model_and_transforms(
        "tiny-clip", pretrained=str(networks.clip_weights)
    )
    return model.eval(), preprocess


@pytest.fixture(scope="module")
def photos() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    shapes = [(60, 44), (32, 32), (80, 120)]
    return [rng.integers(0, 256, (*shape, 3), np.uint8) for shape in shapes]


def prepared(photos: list[np.ndarray], preprocess: Any) -> np.ndarray:
    return np.stack(
        [resize.prepare(Decoded(pixels_HW3=p, is_gray=False), preprocess) for p in photos]
    )


def test_the_card_tells_size_and_dimension(networks: Any) -> None:
    info = section(networks).describe(networks.clip_weights)
    assert (info.preprocess.resize, info.preprocess.crop) == (32, 32)
    assert info.preprocess.interpolation == "bicubic"
    assert info.preprocess.mean == open_clip.OPENAI_DATASET_MEAN
    assert info.embedding_dim == 16


def test_embeddings_are_open_clips_own_and_of_length_one(
    networks: Any, theirs: tuple[Any, Any], photos: list[np.ndarray]
) -> None:
    settings = section(networks)
    info = settings.describe(networks.clip_weights)
    model = settings.load(info, networks.clip_weights, "float32")
    images = prepared(photos, info.preprocess)
    vectors = model(images)["embedding"]
    with torch.inference_mode():
        batch = torch.stack([theirs[1](Image.fromarray(p)) for p in photos])
        expected = theirs[0].encode_image(batch, normalize=True).numpy()
    assert vectors.dtype == np.float16
    assert np.allclose(np.linalg.norm(vectors.astype(np.float32), axis=1), 1, atol=2e-3)
    assert np.allclose(model.outputs(images), expected, atol=5e-3)
    assert np.array_equal(vectors, model.outputs(images).astype(np.float16))


def test_prompt_vectors_are_open_clips_own_and_of_length_one(
    networks: Any, theirs: tuple[Any, Any]
) -> None:
    vectors = section(networks).embed_texts(networks.clip_weights, TEXTS)
    with torch.inference_mode():
        tokens = open_clip.get_tokenizer("tiny-clip")(TEXTS)
        expected = theirs[0].encode_text(tokens)
    expected = (expected / expected.norm(dim=1, keepdim=True)).numpy()
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert np.allclose(vectors, expected, atol=1e-5)
    assert not np.allclose(vectors[0], vectors[1], atol=1e-3)


def test_two_loads_give_the_same_vectors(networks: Any) -> None:
    first, second = (section(networks).embed_texts(networks.clip_weights, TEXTS) for _ in range(2))
    assert np.array_equal(first, second)


def test_an_absent_checkpoint_is_refused(networks: Any, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="absent"):
        section(networks).describe(tmp_path / "absent.pt")


@pytest.mark.parametrize("lacking", ["everything", "visual", "text"])
def test_an_incomplete_checkpoint_is_refused(networks: Any, tmp_path: Path, lacking: str) -> None:
    state = torch.load(networks.clip_weights, weights_only=True)
    kept = {
        k: v
        for k, v in state.items()
        if lacking != "everything" and k.startswith("visual") != (lacking == "visual")
    }
    path = tmp_path / "part.pt"
    torch.save(kept, path)
    with pytest.raises(WeightsError, match=r"part\.pt: does not fit"):
        section(networks).describe(path)


@pytest.mark.parametrize("data", [b"", b"garbage", b"<html>404</html>" * 9])
def test_garbage_is_refused(networks: Any, tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "w.pt"
    path.write_bytes(data)
    with pytest.raises(WeightsError, match=r"w\.pt"):
        section(networks).describe(path)


def test_the_checkpoint_of_another_model_is_refused(networks: Any, tmp_path: Path) -> None:
    config = json.loads(networks.clip_config.read_text())
    config["vision_cfg"]["width"] = 48
    path = tmp_path / "wide-clip.json"
    path.write_text(json.dumps(config))
    with pytest.raises(WeightsError, match="does not fit"):
        section(networks, model=str(path)).describe(networks.clip_weights)


def test_an_unknown_tag_is_refused_with_the_nearest() -> None:
    with pytest.raises(WeightsError, match="did you mean 'laion2b_s34b_b79k'"):
        clip_model.default_weights("ViT-B-32", "laion2b_s34b_b79")


def test_an_unknown_model_is_refused_with_the_nearest(networks: Any) -> None:
    with pytest.raises(WeightsError, match="did you mean 'ViT-B-32'"):
        section(networks, model="ViT-B-33").describe(networks.clip_weights)


def test_no_tokenizer_of_a_stranger_is_fetched(networks: Any, tmp_path: Path) -> None:
    """Where `transformers` is installed, such a key has it run what came with the tokenizer."""
    config = json.loads(networks.clip_config.read_text())
    config["text_cfg"] |= {"hf_tokenizer_name": "stranger/evil"}
    path = tmp_path / "strangers.json"
    path.write_text(json.dumps(config))
    for ask in (
        lambda clip: clip.describe(networks.clip_weights),
        lambda clip: clip.embed_texts(networks.clip_weights, TEXTS),
    ):
        with pytest.raises(WeightsError, match=r"text_cfg\.hf_tokenizer_name: this key is not"):
            ask(section(networks, model=str(path)))


def test_a_model_config_without_towers_is_refused(networks: Any, tmp_path: Path) -> None:
    path = tmp_path / "odd.json"
    path.write_text(json.dumps({"embed_dim": 16}))
    with pytest.raises(WeightsError, match="needs 'vision_cfg'"):
        section(networks, model=str(path)).describe(networks.clip_weights)
