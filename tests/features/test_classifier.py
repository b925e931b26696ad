"""A classifier's settings: its columns, its description, and what decides its values."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
import torchvision
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.features.sections import PREPROCESS
from tests.features.sections import classifier as section
from tests.projects import CLASSIFIER, Change, assert_refused, drop, put
from wslabel.config.fingerprint import named
from wslabel.errors import WeightsError
from wslabel.features import resize
from wslabel.features.classifier import Categories, ClassifierConfig
from wslabel.features.decode import Decoded
from wslabel.features.model_info import ModelInfo
from wslabel.networks.inference import ImageNetwork


@given(st.integers(0, 5), st.none() | st.integers(1, 9))
def test_it_stores_what_is_asked_for(top_k: int, dim: int | None) -> None:
    settings = ClassifierConfig(kind="classifier", top_k=top_k, embedding=True)
    fields = settings.columns(ModelInfo(PREPROCESS, (), dim))
    assert ("category_ids" in fields.names) == (top_k > 0) == settings.stores_categories
    assert ("category_probabilities" in fields.names) == (top_k > 0)
    assert ("embedding" in fields.names) == (dim is not None)
    types = {field.name: field.type for field in fields}
    if top_k:
        assert (types["category_ids"].value_type, types["category_ids"].list_size) == (
            pa.int16(),
            top_k,
        )
        probabilities = types["category_probabilities"]
        assert (probabilities.value_type, probabilities.list_size) == (pa.float32(), top_k)
    if dim:
        assert (types["embedding"].value_type, types["embedding"].list_size) == (pa.float16(), dim)


def test_lines_of_a_category_file_can_be_skipped(tmp_path: Path, networks: Any) -> None:
    path = tmp_path / "names.txt"
    path.write_text("background\n" + networks.categories.read_text() + "\n\n")
    settings = section(networks, categories={"file": str(path), "skip_lines": 1})
    assert settings.describe(networks.classifier).categories[0] == "seashore, coast"


def listed(path: Path) -> ClassifierConfig:
    return ClassifierConfig(kind="classifier", categories=Categories(file=str(path)))


def test_a_category_is_a_line_whatever_stands_in_it(tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    path.write_text("\ufeff\u00c4pfel\u2028rot\r\nBirnen\x0b\n", encoding="utf-8")
    assert listed(path).names() == ("\u00c4pfel\u2028rot", "Birnen")


def test_a_category_file_of_another_encoding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    path.write_bytes("\u00c4pfel".encode("latin-1"))
    with pytest.raises(WeightsError, match=r"names\.txt: expected a category per line, in UTF-8"):
        listed(path).names()


def test_preprocessing_of_a_torchvision_network_is_its_own(tmp_path: Path) -> None:
    weights = torchvision.models.EfficientNet_B0_Weights.DEFAULT
    path = tmp_path / "b0.pth"
    torch.save(torchvision.models.efficientnet_b0().state_dict(), path)
    info = ClassifierConfig(kind="classifier").describe(path)
    assert info.categories == tuple(weights.meta["categories"])
    rng = np.random.default_rng(1)
    rows, cols = np.mgrid[0:300, 0:411]
    pixels = (
        rows[..., None] * 0.4 + cols[..., None] * 0.2 + rng.normal(0, 30, (300, 411, 3))
    ).clip(0, 255)
    pixels = pixels.astype(np.uint8)
    resized = resize.prepare(Decoded(pixels_HW3=pixels, is_gray=False), info.preprocess)
    ours = ImageNetwork(torch.nn.Identity(), info.preprocess, "float32")(resized[None])[0].cpu()
    theirs = weights.transforms()(Image.fromarray(pixels))
    one_level = torch.tensor([1 / 255 / s for s in info.preprocess.std]).view(3, 1, 1)
    assert ours.shape == theirs.shape
    assert ((ours - theirs).abs() <= one_level * 1.001).all()


def test_an_embedding_is_described_only_where_it_is_stored(networks: Any) -> None:
    info = section(networks, embedding=False).describe(networks.classifier)
    assert info.embedding_dim is None
    assert section(networks, embedding=False).columns(info).names == [
        "category_ids",
        "category_probabilities",
    ]


def test_small_files_are_fetched_and_count_by_their_content(networks: Any) -> None:
    settings = section(networks)
    local = settings.with_local_files(lambda uri: Path("/local") / Path(uri).name)
    assert isinstance(local.categories, Categories)
    assert local.categories.file == f"/local/{networks.categories.name}"
    plain, names = settings.identity(lambda path: f"hash of {path}")
    assert names == [f"hash of {networks.categories}", 0]
    other = section(networks, precision="bfloat16", batch_size=2)
    assert plain == named(other, {"weights", "precision", "batch_size", "categories"})


WRONG: dict[str, tuple[Change, list[str]]] = {
    "a library that is not known": (
        put("features", "net", "model", value="keras/x"),
        [": features.net.model: expected torchvision/NAME or timm/NAME, found 'keras/x'"],
    ),
    "a classifier that stores nothing": (
        put("features", "new", value=CLASSIFIER | {"top_k": 0}),
        [": features.new: top_k: 0 without embedding: true would store nothing"],
    ),
    "weights without preprocess": (
        drop("features", "net", "preprocess"),
        [": features.net: weights from a file need a 'preprocess'"],
    ),
    "weights without categories": (
        drop("features", "net", "categories"),
        [": features.net: weights from a file need 'categories'"],
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_settings_are_refused_plainly(home: Path, name: str) -> None:
    change, parts = WRONG[name]
    assert_refused(home, change, parts)
