"""Networks take what the tables hold."""

import numpy as np
import torch

from wslabel.config.preprocess import Preprocess
from wslabel.networks.inference import ImageNetwork
from wslabel.networks.modules import (
    Cnn,
    LinearHead,
    OnImages,
    ProjectionHead,
    body_parameters,
    head,
)

PREPROCESS = Preprocess(resize=8, crop=8, mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 0.2))


def photos(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 8, 8, 3), np.uint8)


def test_a_linear_head_takes_stored_float16_embeddings() -> None:
    network = LinearHead(4, 3)
    embeddings = torch.randn(6, 4).half()
    expected = embeddings.float() @ network.linear.weight.T + network.linear.bias
    assert torch.allclose(network(embeddings), expected, atol=1e-6)
    assert network(embeddings).dtype == torch.float32


def test_images_are_normalized_as_for_features() -> None:
    images = photos(4)
    trained = OnImages(torch.nn.Identity(), PREPROCESS)(torch.from_numpy(images))
    features = ImageNetwork(torch.nn.Identity(), PREPROCESS, "float32")(images).cpu()
    assert torch.allclose(trained, features, atol=1e-5)


def test_normalization_is_not_kept_with_the_weights() -> None:
    names = {f"network.{name}" for name in Cnn(2).state_dict()}
    assert set(OnImages(Cnn(2), PREPROCESS).state_dict()) == names


def test_images_may_come_as_floats() -> None:
    network, images = OnImages(Cnn(2), PREPROCESS).eval(), torch.from_numpy(photos(4))
    assert torch.allclose(network(images), network(images.float() / 255), atol=1e-6)


def test_the_head_is_the_last_linear_layer_and_the_body_all_else() -> None:
    network = OnImages(Cnn(2, (4, 8)), PREPROCESS)
    assert head(network) == "network.11"
    outside = {id(p) for p in network.get_submodule("network.11").parameters()}
    body = {id(p) for p in body_parameters(network)}
    assert body == {id(p) for p in network.parameters()} - outside


def test_a_projection_has_the_dimensions_asked_for() -> None:
    assert ProjectionHead(6, 4)(torch.randn(3, 6)).shape == (3, 4)
