"""Networks take what the tables hold, and come back from their files as they were."""

from functools import partial

import numpy as np
import pytest
import torch

from wslabel.features import network
from wslabel.settings import Augmentations, Preprocess
from wslabel.training.loop import Fitted
from wslabel.training.networks import (
    BATCH_SIZE,
    Augment,
    Cnn,
    LinearHead,
    MakeLinear,
    MakeOnImages,
    OnImages,
    Predictor,
    deserialize,
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
    return serialize(Fitted(module.state_dict(), [1.0, 0.5], []))


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
    head = LinearHead(4, 3)
    assert kept(head) == kept(head)


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


def gradient(count: int) -> torch.Tensor:
    """Images that differ in every pixel, wider than high."""
    return torch.arange(count * 3 * 4 * 6).float().view(count, 3, 4, 6)


def augmented(images: torch.Tensor, **how: object) -> torch.Tensor:
    torch.manual_seed(0)
    return Augment(Augmentations.model_validate(how))(images)


def test_without_any_change_images_stay_as_they_are() -> None:
    images = gradient(4)
    torch.testing.assert_close(augmented(images, horizontal_flip=False), images)


@pytest.mark.parametrize(("key", "axis"), [("horizontal_flip", 3), ("vertical_flip", 2)])
def test_some_images_are_flipped_and_others_not(key: str, axis: int) -> None:
    images = gradient(40)
    found = augmented(images, **{"horizontal_flip": False, key: True})
    flipped = 0
    for before, after in zip(images, found, strict=True):
        is_flipped = torch.allclose(after, before.flip(axis - 1), atol=1e-2)
        assert is_flipped or torch.allclose(after, before, atol=1e-2)
        flipped += is_flipped
    assert 8 < flipped < 32


def test_turned_and_zoomed_images_show_nothing_from_outside() -> None:
    images = torch.full((8, 3, 10, 14), 0.7)
    torch.testing.assert_close(augmented(images, rotation=180, zoom=0.5), images)


def test_a_turned_circle_stays_a_circle_though_images_are_wide() -> None:
    y, x = torch.meshgrid(torch.arange(40) - 19.5, torch.arange(80) - 39.5, indexing="ij")
    circle = ((x**2 + y**2) < 8**2).float().expand(6, 3, 40, 80)
    found = augmented(circle, rotation=90)
    # Further out a turned image shows what is mirrored in, the circle again.
    assert (found - circle)[..., 20:60].abs().mean() < 0.02


def test_every_epoch_changes_images_anew_and_the_same_seed_the_same() -> None:
    images = torch.rand(8, 3, 12, 12)
    change = Augment(Augmentations(rotation=30))
    torch.manual_seed(1)
    first, second = change(images), change(images)
    torch.manual_seed(1)
    assert torch.equal(change(images), first)
    assert not torch.equal(first, second)


def test_only_training_changes_images() -> None:
    torch.manual_seed(0)
    whole = OnImages(torch.nn.Identity(), HOW, Augmentations(rotation=90))
    images = torch.from_numpy(photos(4))
    plain = OnImages(torch.nn.Identity(), HOW)(images)
    assert torch.equal(whole.eval()(images), plain)
    assert not torch.equal(whole.train()(images), plain)


def test_the_cnn_learns_and_comes_back() -> None:
    torch.manual_seed(0)
    images, targets = photos(16), torch.arange(16) % 2
    images[targets.numpy() == 1] //= 2
    make = MakeOnImages(partial(Cnn, 2), HOW, Augmentations(rotation=10, zoom=0.1))
    module = make()
    optimizer = torch.optim.Adam(module.parameters(), 1e-2)
    for _ in range(30):
        loss = torch.nn.functional.cross_entropy(module(torch.from_numpy(images)), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    found = Predictor(make, kept(module.eval()))(images)
    assert (found.argmax(axis=1) == targets.numpy()).mean() > 0.9
