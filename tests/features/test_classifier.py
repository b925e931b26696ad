"""A classifier's columns are what its library's own network says, or it is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
import torchvision
from PIL import Image

from wslabel import schema
from wslabel.errors import WeightsError
from wslabel.features import classifier, resize
from wslabel.features.card import Card
from wslabel.features.decode import Decoded
from wslabel.features.network import Network
from wslabel.settings import Classifier, Preprocess

HOW = Preprocess(resize=36, crop=32)
TIMM = "timm/test_efficientnet"


def section(networks: Any, **changes: Any) -> Classifier:
    keys: dict[str, Any] = {
        "kind": "classifier",
        "model": TIMM,
        "model_options": {"num_classes": 5},
        "weights": str(networks.classifier),
        "categories": {"file": str(networks.categories)},
        "preprocess": HOW,
        "top_k": 3,
        "embedding": True,
    }
    return Classifier(**(keys | changes))


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), np.uint8)


@pytest.fixture(scope="module")
def plain(networks: Any) -> torch.nn.Module:
    module = timm.create_model("test_efficientnet", num_classes=5)
    module.load_state_dict(torch.load(networks.classifier, weights_only=True))
    return module.eval()


def normalized(images: np.ndarray) -> torch.Tensor:
    values = (images / 255.0 - HOW.mean) / HOW.std
    return torch.from_numpy(values.transpose(0, 3, 1, 2).astype(np.float32))


def columns(settings: Classifier, images: np.ndarray) -> dict[str, np.ndarray]:
    weights = Path(settings.weights)
    card = classifier.describe(settings, weights)
    return classifier.Model(settings, card, weights, "float32")(images)


def test_the_card_tells_categories_and_dimension(networks: Any, plain: Any) -> None:
    card = classifier.describe(section(networks), networks.classifier)
    assert card.preprocess == HOW
    assert card.categories[:2] == ("seashore, coast", "rain forest")
    assert card.embedding_dim == plain.num_features
    assert Card.from_dict(card.to_dict() | {"categories": list(card.categories)}) == card


def test_the_columns_are_those_of_the_schema(networks: Any, images: np.ndarray) -> None:
    found = columns(section(networks), images)
    card = classifier.describe(section(networks), networks.classifier)
    fields = schema.classifier(3, card.embedding_dim)
    assert list(found) == fields.names
    for field in fields:
        assert found[field.name].shape == (len(images), field.type.list_size)
        assert found[field.name].dtype == field.type.value_type.to_pandas_dtype()


def test_top_categories_are_those_of_a_plain_forward(
    networks: Any, plain: Any, images: np.ndarray
) -> None:
    found = columns(section(networks), images)
    with torch.inference_mode():
        probabilities = plain(normalized(images)).softmax(dim=1).numpy()
    order = np.argsort(-probabilities, axis=1)[:, :3]
    assert np.array_equal(found["category_ids"], order)
    best = np.take_along_axis(probabilities, order, axis=1)
    assert np.allclose(found["category_probabilities"], best, atol=1e-5)
    assert (np.diff(found["category_probabilities"], axis=1) <= 0).all()


def test_the_embedding_is_what_the_last_linear_layer_reads(
    networks: Any, plain: Any, images: np.ndarray
) -> None:
    found = columns(section(networks), images)["embedding"]
    with torch.inference_mode():
        x = normalized(images)
        pooled = plain.forward_head(plain.forward_features(x), pre_logits=True)
        logits = plain.classifier(pooled)
        assert torch.allclose(logits, plain(x), atol=1e-5)
    assert np.allclose(found, pooled.numpy(), rtol=2e-3, atol=1e-3)


def test_outputs_to_compare_precisions_by_are_the_logits(
    networks: Any, plain: Any, images: np.ndarray
) -> None:
    settings = section(networks)
    card = classifier.describe(settings, networks.classifier)
    model = classifier.Model(settings, card, networks.classifier, "float32")
    with torch.inference_mode():
        assert np.allclose(model.outputs(images), plain(normalized(images)).numpy(), atol=1e-4)


def test_bfloat16_gives_nearly_the_same_top_category(networks: Any, images: np.ndarray) -> None:
    settings = section(networks)
    card = classifier.describe(settings, networks.classifier)
    exact, rough = (
        classifier.Model(settings, card, networks.classifier, precision).outputs(images)
        for precision in ("float32", "bfloat16")
    )
    assert rough.dtype == np.float32
    assert not np.array_equal(exact, rough)
    cosines = (exact * rough).sum(1) / np.linalg.norm(exact, axis=1) / np.linalg.norm(rough, axis=1)
    assert cosines.min() > 0.99


def test_a_network_without_a_head_gives_its_output_as_embedding(
    tmp_path: Path, networks: Any, images: np.ndarray
) -> None:
    torch.manual_seed(3)
    headless = timm.create_model("test_efficientnet", num_classes=0)
    path = tmp_path / "headless.pth"
    torch.save(headless.state_dict(), path)
    settings = section(
        networks, weights=str(path), model_options={"num_classes": 0}, top_k=0, categories=None
    )
    card = classifier.describe(settings, path)
    found = columns(settings, images)
    with torch.inference_mode():
        expected = headless.eval()(normalized(images)).numpy()
    assert card.categories == ()
    assert card.embedding_dim == expected.shape[1]
    assert list(found) == ["embedding"]
    assert np.allclose(found["embedding"], expected, rtol=2e-3, atol=1e-3)


def test_weights_of_another_network_are_refused(tmp_path: Path, networks: Any) -> None:
    path = tmp_path / "other.pth"
    torch.save(torch.nn.Linear(2, 2).state_dict(), path)
    with pytest.raises(WeightsError, match=r"other\.pth: no tensor 'conv_stem\.weight'"):
        classifier.describe(section(networks), path)


def test_weights_with_another_number_of_outputs_are_refused(networks: Any) -> None:
    with pytest.raises(WeightsError, match=r"tensor 'classifier\.weight' is \(5, \d+\)"):
        classifier.describe(
            section(networks, model_options={"num_classes": 7}), networks.classifier
        )


def test_categories_must_be_as_many_as_outputs(networks: Any) -> None:
    settings = section(networks, categories=["sea", "forest"])
    with pytest.raises(WeightsError, match="2 category names for 5 outputs"):
        classifier.describe(settings, networks.classifier)


def test_more_top_categories_than_outputs_are_refused(networks: Any) -> None:
    with pytest.raises(WeightsError, match="top_k"):
        classifier.describe(section(networks, top_k=6), networks.classifier)


def test_lines_of_a_category_file_can_be_skipped(tmp_path: Path, networks: Any) -> None:
    path = tmp_path / "names.txt"
    path.write_text("background\n" + networks.categories.read_text() + "\n\n")
    settings = section(networks, categories={"file": str(path), "skip_lines": 1})
    assert classifier.describe(settings, networks.classifier).categories[0] == "seashore, coast"


@pytest.mark.parametrize(
    ("model", "close"),
    [("timm/test_efficientnett", "test_efficientnet"), ("torchvision/resnet19", "resnet1")],
)
def test_an_unknown_network_is_refused_with_the_nearest(
    networks: Any, model: str, close: str
) -> None:
    with pytest.raises(WeightsError, match=f"has no network .* did you mean '{close}"):
        classifier.describe(section(networks, model=model), networks.classifier)


def test_options_that_a_network_does_not_take_are_refused(networks: Any) -> None:
    with pytest.raises(WeightsError, match="refused model_options"):
        classifier.describe(section(networks, model_options={"wheels": 4}), networks.classifier)


def test_preprocessing_of_a_torchvision_network_is_its_own(tmp_path: Path) -> None:
    weights = torchvision.models.EfficientNet_B0_Weights.DEFAULT
    path = tmp_path / "b0.pth"
    torch.save(torchvision.models.efficientnet_b0().state_dict(), path)
    card = classifier.describe(Classifier(kind="classifier"), path)
    assert card.categories == tuple(weights.meta["categories"])
    rng = np.random.default_rng(1)
    rows, cols = np.mgrid[0:300, 0:411]
    pixels = (
        rows[..., None] * 0.4 + cols[..., None] * 0.2 + rng.normal(0, 30, (300, 411, 3))
    ).clip(0, 255)
    pixels = pixels.astype(np.uint8)
    mine = resize.prepare(Decoded(pixels, is_gray=False), card.preprocess)
    found = Network(torch.nn.Identity(), card.preprocess, "float32")(mine[None])[0].cpu()
    theirs = weights.transforms()(Image.fromarray(pixels))
    one_level = torch.tensor([1 / 255 / s for s in card.preprocess.std]).view(3, 1, 1)
    assert found.shape == theirs.shape
    assert ((found - theirs).abs() <= one_level * 1.001).all()
