"""Networks come back from their files as they were, and give probabilities or features."""

import pickle
from functools import partial

import numpy as np
import pytest
import safetensors.torch
import torch

from wslabel.config.preprocess import Preprocess
from wslabel.errors import WeightsError
from wslabel.networks.factory import BuildLinear, BuildOnImages
from wslabel.networks.modules import Cnn, LinearHead, OnImages, head
from wslabel.networks.trained import BATCH_SIZE, Embedder, Predictor, deserialize

PREPROCESS = Preprocess(resize=8, crop=8, mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 0.2))


def bare() -> torch.nn.Module:
    pool = torch.nn.AdaptiveAvgPool2d(1)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 5, 3), torch.nn.BatchNorm2d(5), pool, torch.nn.Flatten(),
        torch.nn.Dropout(0.5), torch.nn.Linear(5, 3),
    )  # fmt: skip


def photos(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 8, 8, 3), np.uint8)


def kept(module: torch.nn.Module) -> bytes:
    return safetensors.torch.save({k: t.contiguous() for k, t in module.state_dict().items()})


@pytest.mark.parametrize("kind", ["linear", "images"])
def test_a_network_comes_back_from_its_file(kind: str) -> None:
    build = BuildLinear(4, 3) if kind == "linear" else BuildOnImages(bare, PREPROCESS)
    inputs = torch.randn(5, 4) if kind == "linear" else torch.from_numpy(photos(5))
    torch.manual_seed(2)
    module = build().eval()
    again = deserialize(build, kept(module))
    assert not again.training
    assert torch.equal(again(inputs), module(inputs))


def test_a_file_of_another_network_is_refused() -> None:
    with pytest.raises(WeightsError, match=r"^models/x: .*size mismatch.*; remove its folder"):
        deserialize(BuildLinear(5, 3), kept(LinearHead(4, 3)), "models/x")


@pytest.mark.parametrize("data", [b"", b"\xff" * 99, pickle.dumps({"a": 1}), b"{}" * 9])
def test_a_file_of_something_else_is_refused(data: bytes) -> None:
    with pytest.raises(WeightsError, match="not as wslabel writes it"):
        deserialize(BuildLinear(5, 3), data)
    with pytest.raises(WeightsError, match="not as wslabel writes it"):
        Embedder(BuildLinear(5, 3), 0, data)


@pytest.mark.parametrize("count", [1, BATCH_SIZE, BATCH_SIZE + 3])
def test_predictions_are_the_softmax_of_the_network(count: int) -> None:
    torch.manual_seed(3)
    module = OnImages(bare(), PREPROCESS).eval()
    found = Predictor(BuildOnImages(bare, PREPROCESS), kept(module))(photos(count))
    with torch.inference_mode():
        expected = module(torch.from_numpy(photos(count))).softmax(dim=1).numpy()
    assert found.shape == (count, 3)
    assert found.dtype == np.float32
    assert np.allclose(found, expected, atol=1e-5)
    assert np.allclose(found.sum(axis=1), 1, atol=1e-5)


def test_a_linear_predictor_takes_stored_embeddings() -> None:
    head = LinearHead(4, 2)
    embeddings = np.random.default_rng(0).normal(size=(7, 4)).astype(np.float16)
    found = Predictor(BuildLinear(4, 2), kept(head))(embeddings)
    assert np.allclose(found, head(torch.from_numpy(embeddings)).softmax(dim=1).detach(), atol=1e-6)


def test_judging_each_class_for_itself_gives_shares_of_sigmoids() -> None:
    head = LinearHead(4, 3)
    embeddings = np.random.default_rng(0).normal(size=(7, 4)).astype(np.float16)
    found = Predictor(BuildLinear(4, 3), kept(head), per_class=True)(embeddings)
    each = head(torch.from_numpy(embeddings)).sigmoid().detach()
    assert np.allclose(found, each / each.sum(dim=1, keepdim=True), atol=1e-6)


def test_the_cnn_learns_and_comes_back() -> None:
    torch.manual_seed(0)
    images, targets = photos(16), torch.arange(16) % 2
    images[targets.numpy() == 1] //= 2
    build = BuildOnImages(partial(Cnn, 2), PREPROCESS)
    module = build()
    optimizer = torch.optim.Adam(module.parameters(), 1e-2)
    for _ in range(30):
        loss = torch.nn.functional.cross_entropy(module(torch.from_numpy(images)), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    found = Predictor(build, kept(module.eval()))(images)
    assert (found.argmax(axis=1) == targets.numpy()).mean() > 0.9


def test_an_embedder_gives_what_the_head_is_given() -> None:
    build = BuildOnImages(bare, PREPROCESS)
    torch.manual_seed(4)
    module = build().eval()
    features = Embedder(build, 0, kept(module))(photos(5))
    last = module.get_submodule(head(module))
    logits = torch.from_numpy(features) @ last.weight.T + last.bias
    assert torch.allclose(logits, module(torch.from_numpy(photos(5))), atol=1e-5)


def test_a_random_body_follows_from_its_seed() -> None:
    build = BuildOnImages(bare, PREPROCESS)
    first, second, other = (Embedder(build, seed, None)(photos(5)) for seed in (1, 1, 2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)
