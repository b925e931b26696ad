"""A classifier's columns are what its library's own network says, or it is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from pydantic import TypeAdapter

from tests.features.sections import PREPROCESS
from tests.features.sections import classifier as section
from wslabel.errors import WeightsError
from wslabel.features.classifier import ClassifierConfig
from wslabel.features.model_info import ModelInfo


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), np.uint8)


@pytest.fixture(scope="module")
def plain(networks: Any) -> torch.nn.Module:
    module = timm.create_model("test_efficientnet", num_classes=5)
    module.load_state_dict(torch.load(networks.classifier, weights_only=True))
    return module.eval()


def normalized(images: np.ndarray) -> torch.Tensor:
    values = (images / 255.0 - PREPROCESS.mean) / PREPROCESS.std
    return torch.from_numpy(values.transpose(0, 3, 1, 2).astype(np.float32))


def columns(settings: ClassifierConfig, images: np.ndarray) -> dict[str, np.ndarray]:
    weights = Path(settings.weights)
    info = settings.describe(weights)
    return settings.load(info, weights, "float32")(images)


def test_the_description_tells_categories_and_dimension(networks: Any, plain: Any) -> None:
    info = section(networks).describe(networks.classifier)
    assert info.preprocess == PREPROCESS
    assert info.categories[:2] == ("seashore, coast", "rain forest")
    assert info.embedding_dim == plain.num_features
    assert TypeAdapter(ModelInfo).validate_python(info.to_dict()) == info


def test_the_columns_are_those_that_the_settings_say(networks: Any, images: np.ndarray) -> None:
    values = columns(section(networks), images)
    info = section(networks).describe(networks.classifier)
    fields = section(networks).columns(info)
    assert list(values) == fields.names
    for field in fields:
        assert values[field.name].shape == (len(images), field.type.list_size)
        assert values[field.name].dtype == field.type.value_type.to_pandas_dtype()


def test_top_categories_are_those_of_a_plain_forward(
    networks: Any, plain: Any, images: np.ndarray
) -> None:
    values = columns(section(networks), images)
    with torch.inference_mode():
        probabilities = plain(normalized(images)).softmax(dim=1).numpy()
    order = np.argsort(-probabilities, axis=1)[:, :3]
    assert np.array_equal(values["category_ids"], order)
    best = np.take_along_axis(probabilities, order, axis=1)
    assert np.allclose(values["category_probabilities"], best, atol=1e-5)
    assert (np.diff(values["category_probabilities"], axis=1) <= 0).all()


def test_the_embedding_is_what_the_last_linear_layer_reads(
    networks: Any, plain: Any, images: np.ndarray
) -> None:
    values = columns(section(networks), images)["embedding"]
    with torch.inference_mode():
        x = normalized(images)
        pooled = plain.forward_head(plain.forward_features(x), pre_logits=True)
        logits = plain.classifier(pooled)
        assert torch.allclose(logits, plain(x), atol=1e-5)
    assert np.allclose(values, pooled.numpy(), rtol=2e-3, atol=1e-3)


def test_outputs_to_compare_precisions_by_are_the_logits(
    networks: Any, plain: Any, images: np.ndarray
) -> None:
    settings = section(networks)
    info = settings.describe(networks.classifier)
    model = settings.load(info, networks.classifier, "float32")
    with torch.inference_mode():
        assert np.allclose(model.outputs(images), plain(normalized(images)).numpy(), atol=1e-4)


def test_bfloat16_gives_nearly_the_same_top_category(networks: Any, images: np.ndarray) -> None:
    settings = section(networks)
    info = settings.describe(networks.classifier)
    exact, rough = (
        settings.load(info, networks.classifier, precision).outputs(images)
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
    info = settings.describe(path)
    values = columns(settings, images)
    with torch.inference_mode():
        expected = headless.eval()(normalized(images)).numpy()
    assert info.categories == ()
    assert info.embedding_dim == expected.shape[1]
    assert list(values) == ["embedding"]
    assert np.allclose(values["embedding"], expected, rtol=2e-3, atol=1e-3)


def test_weights_of_another_network_are_refused(tmp_path: Path, networks: Any) -> None:
    path = tmp_path / "other.pth"
    torch.save(torch.nn.Linear(2, 2).state_dict(), path)
    with pytest.raises(WeightsError, match=r"other\.pth: no tensor 'conv_stem\.weight'"):
        section(networks).describe(path)


def test_weights_with_another_number_of_outputs_are_refused(networks: Any) -> None:
    with pytest.raises(WeightsError, match=r"tensor 'classifier\.weight' is \(5, \d+\)"):
        section(networks, model_options={"num_classes": 7}).describe(networks.classifier)


def test_categories_must_be_as_many_as_outputs(networks: Any) -> None:
    settings = section(networks, categories=["sea", "forest"])
    with pytest.raises(WeightsError, match="2 category names for 5 outputs"):
        settings.describe(networks.classifier)


def test_more_top_categories_than_outputs_are_refused(networks: Any) -> None:
    with pytest.raises(WeightsError, match="top_k"):
        section(networks, top_k=6).describe(networks.classifier)


@pytest.mark.parametrize(
    ("model", "close"),
    [("timm/test_efficientnett", "test_efficientnet"), ("torchvision/resnet19", "resnet1")],
)
def test_an_unknown_network_is_refused_with_the_nearest(
    networks: Any, model: str, close: str
) -> None:
    with pytest.raises(WeightsError, match=f"has no network .* did you mean '{close}"):
        section(networks, model=model).describe(networks.classifier)


def test_options_that_a_network_does_not_take_are_refused(networks: Any) -> None:
    with pytest.raises(WeightsError, match="refused model_options"):
        section(networks, model_options={"wheels": 4}).describe(networks.classifier)


def test_a_network_that_takes_no_images_of_that_size_says_so(tmp_path: Path) -> None:
    weights = tmp_path / "vit.pth"
    torch.save(timm.create_model("vit_tiny_patch16_224").state_dict(), weights)
    settings = ClassifierConfig(
        kind="classifier",
        model="timm/vit_tiny_patch16_224",
        weights=str(weights),
        preprocess=PREPROCESS,
        top_k=0,
        embedding=True,
    )
    message = r"does not take images of 32 x 32 pixels \(preprocess.crop\): .*224"
    with pytest.raises(WeightsError, match=message):
        settings.describe(weights)
