"""Networks take what the tables hold, and come back from their files as they were."""

from functools import partial
from random import random

import numpy as np
import pytest
import torch

from wslabel.features import network
from wslabel.settings import Preprocess
from wslabel.training.loop import Fitted
from wslabel.training.networks import (
    BATCH_SIZE,
    Cnn,
    LinearHead,
    MakeLinear,
    MakeOnImages,
    MakeProjecting,
    OnImages,
    Predictor,
    deserialize,
    head,
)
from wslabel.training.trainer import serialize

HOW = Preprocess(resize=8, crop=8, mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 0.2))


def bare() -> torch.nn.Module:
    pool = torch.nn.AdaptiveAvgPool2d(1)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 5, 3), torch.nn.BatchNorm2d(5), pool, torch.nn.Flatten(),
        torch.nn.Dropout(0.5), torch.nn.Linear(5, 3),
    )  # fmt: skip


def photos(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 8, 8, 3), np.uint8)


def kept(module: torch.nn.Module) -> bytes:
    return serialize(
        Fitted(module.state_dict(), [{"epoch": 1.0, "loss": 0.5, "seconds": random()}], 1)
    )


def test_a_linear_head_takes_stored_float16_embeddings() -> None:
    head = LinearHead(4, 3)
    embeddings = torch.randn(6, 4).half()
    expected = embeddings.float() @ head.linear.weight.T + head.linear.bias
    assert torch.allclose(head(embeddings), expected, atol=1e-6)
    assert head(embeddings).dtype == torch.float32


def test_images_are_normalized_as_for_features() -> None:
    images = photos(4)
    mine = OnImages(torch.nn.Identity(), HOW)(torch.from_numpy(images))
    features = network.Network(torch.nn.Identity(), HOW, "float32")(images).cpu()
    assert torch.allclose(mine, features, atol=1e-5)


def test_normalization_is_not_kept_with_the_weights() -> None:
    assert set(OnImages(bare(), HOW).state_dict()) == {f"network.{k}" for k in bare().state_dict()}


@pytest.mark.parametrize("kind", ["linear", "images"])
def test_a_network_comes_back_from_its_file(kind: str) -> None:
    make = MakeLinear(4, 3) if kind == "linear" else MakeOnImages(bare, HOW)
    inputs = torch.randn(5, 4) if kind == "linear" else torch.from_numpy(photos(5))
    torch.manual_seed(2)
    module = make().eval()
    again = deserialize(make, kept(module))
    assert not again.training
    assert torch.equal(again(inputs), module(inputs))


def test_the_same_network_gives_the_same_file() -> None:
    linear = LinearHead(4, 3)
    assert kept(linear) == kept(linear)


def test_a_file_of_another_network_is_refused() -> None:
    with pytest.raises(RuntimeError, match="size mismatch"):
        deserialize(MakeLinear(5, 3), kept(LinearHead(4, 3)))


@pytest.mark.parametrize("count", [1, BATCH_SIZE, BATCH_SIZE + 3])
def test_predictions_are_the_softmax_of_the_network(count: int) -> None:
    torch.manual_seed(3)
    module = OnImages(bare(), HOW).eval()
    found = Predictor(MakeOnImages(bare, HOW), kept(module))(photos(count))
    with torch.inference_mode():
        expected = module(torch.from_numpy(photos(count))).softmax(dim=1).numpy()
    assert found.shape == (count, 3)
    assert found.dtype == np.float32
    assert np.allclose(found, expected, atol=1e-5)
    assert np.allclose(found.sum(axis=1), 1, atol=1e-5)


def test_a_linear_predictor_takes_stored_embeddings() -> None:
    head = LinearHead(4, 2)
    embeddings = np.random.default_rng(0).normal(size=(7, 4)).astype(np.float16)
    found = Predictor(MakeLinear(4, 2), kept(head))(embeddings)
    assert np.allclose(found, head(torch.from_numpy(embeddings)).softmax(dim=1).detach(), atol=1e-6)


def test_a_maker_from_a_partial_builds_anew_each_time() -> None:
    make = MakeOnImages(partial(torch.nn.Linear, 2, 2), HOW)
    assert make() is not make()


def test_judging_each_class_for_itself_gives_shares_of_sigmoids() -> None:
    head = LinearHead(4, 3)
    embeddings = np.random.default_rng(0).normal(size=(7, 4)).astype(np.float16)
    found = Predictor(MakeLinear(4, 3), kept(head), per_class=True)(embeddings)
    each = head(torch.from_numpy(embeddings)).sigmoid().detach()
    assert np.allclose(found, each / each.sum(dim=1, keepdim=True), atol=1e-6)


def test_images_may_come_as_floats() -> None:
    module, images = OnImages(bare(), HOW).eval(), torch.from_numpy(photos(4))
    assert torch.allclose(module(images), module(images.float() / 255), atol=1e-6)


def test_a_projecting_network_keeps_the_names_of_its_body() -> None:
    plain, projecting = OnImages(bare(), HOW), MakeProjecting(MakeOnImages(bare, HOW), 7)()
    assert projecting(torch.from_numpy(photos(2))).shape == (2, 7)
    own = {k: v.shape for k, v in projecting.state_dict().items()}
    for name, tensor in plain.state_dict().items():
        if not name.startswith(head(plain)):
            assert own[name] == tensor.shape


def test_the_cnn_learns_and_comes_back() -> None:
    torch.manual_seed(0)
    images, targets = photos(16), torch.arange(16) % 2
    images[targets.numpy() == 1] //= 2
    make = MakeOnImages(partial(Cnn, 2), HOW)
    module = make()
    optimizer = torch.optim.Adam(module.parameters(), 1e-2)
    for _ in range(30):
        loss = torch.nn.functional.cross_entropy(module(torch.from_numpy(images)), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    found = Predictor(make, kept(module.eval()))(images)
    assert (found.argmax(axis=1) == targets.numpy()).mean() > 0.9
