"""Networks by their library's name: built, looked up, or refused with the nearest name."""

import hashlib
import pickle
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torchvision

from tests.hostile.trap import Trap
from wslabel.errors import WeightsError
from wslabel.networks import zoo
from wslabel.networks.weights import read_state


@pytest.mark.parametrize("model", ["timm/test_efficientnet", "torchvision/mobilenet_v2"])
def test_a_network_is_built_with_its_options(model: str) -> None:
    network = zoo.build(model, {"num_classes": 7}).eval()
    assert network(torch.zeros(1, 3, 32, 32)).shape == (1, 7)


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ("timm/resnet19", {}, "timm has no network 'resnet19'; did you mean 'resnet1"),
        ("torchvision/resnet1888", {}, "torchvision has no network .*; did you mean 'resnet18'"),
        ("timm/resnet18", {"pretrained": True}, "model_options.pretrained: weights come from"),
        ("timm/resnet18", {"checkpoint_path": "x.pth"}, "model_options.checkpoint_path: weights"),
        ("torchvision/resnet18", {"weights": "DEFAULT"}, "model_options.weights: weights come"),
        ("timm/resnet18", {"odd": 1}, r"timm/resnet18: refused model_options \{'odd': 1\}: "),
    ],
)
def test_what_a_library_does_not_have_is_refused(
    model: str, options: dict[str, object], message: str
) -> None:
    with pytest.raises(WeightsError, match=message):
        zoo.build(model, options)


def test_preprocessing_is_that_of_the_librarys_own_weights() -> None:
    torchvision = zoo.own_preprocess("torchvision/efficientnet_b0")
    assert (torchvision.resize, torchvision.crop) == (256, 224)
    assert torchvision.interpolation == "bicubic"
    timm = zoo.own_preprocess("timm/vit_base_patch16_clip_224.openai")
    assert (timm.crop, timm.mean[0]) == (224, pytest.approx(0.4815, abs=1e-4))


@pytest.mark.parametrize("model", ["torchvision/resnet18", "timm/resnet18.a1_in1k"])
def test_categories_are_those_of_imagenet(model: str) -> None:
    categories = zoo.own_categories(model)
    assert len(categories) == 1000
    assert categories[0].startswith("tench")


def test_weights_that_are_here_are_not_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    own = tmp_path / "checkpoints" / "resnet18-f37072fd.pth"
    own.write_bytes(b"weights")
    assert zoo.default_weights("torchvision/resnet18") == own


@pytest.mark.parametrize("is_damaged", [False, True])
def test_nothing_in_fetched_weights_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_damaged: bool
) -> None:
    data = pickle.dumps(Trap(tmp_path / "ran"))
    digits = "0" * 8 if is_damaged else hashlib.sha256(data).hexdigest()[:8]
    offered = tmp_path / f"resnet18-{digits}.pth"
    offered.write_bytes(data)
    weights = SimpleNamespace(DEFAULT=SimpleNamespace(url=offered.as_uri()))
    monkeypatch.setattr(torchvision.models, "get_model_weights", lambda _: weights)
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    expected = "invalid hash value" if is_damaged else "expected a checkpoint of tensors"
    with pytest.raises(WeightsError, match=expected):
        read_state(zoo.default_weights("torchvision/resnet18"))
    assert not (tmp_path / "ran").exists()
    assert is_damaged != (tmp_path / "hub" / "checkpoints" / offered.name).exists()


def test_a_network_without_weights_of_its_library_needs_a_file() -> None:
    with pytest.raises(WeightsError, match="timm offers no pretrained weights; name a file"):
        zoo.default_weights("timm/vit_base_patch16_plus_240")
