"""Builders are small values that build a network anew, in whichever process."""

import pickle
from functools import partial

import pytest
import torch

from wslabel.config.preprocess import Preprocess
from wslabel.config.training import Training
from wslabel.networks.factory import (
    BuildBare,
    BuildLinear,
    BuildOnImages,
    BuildProjecting,
    builder,
)
from wslabel.networks.modules import Cnn, LinearHead, OnImages, head

PREPROCESS = Preprocess(resize=32, crop=32)
IMAGES = torch.zeros(2, 32, 32, 3, dtype=torch.uint8)


@pytest.mark.parametrize(
    ("network", "dim", "inputs"),
    [
        ("linear", 4, torch.zeros(2, 4)),
        ("cnn", None, IMAGES),
        ("timm/test_efficientnet", None, IMAGES),
    ],
)
def test_settings_name_a_network(network: str, dim: int | None, inputs: torch.Tensor) -> None:
    settings = Training(network=network, feature="x", preprocess=PREPROCESS)
    build = pickle.loads(pickle.dumps(builder(settings, dim, 3)))
    assert isinstance(build(), LinearHead if network == "linear" else OnImages)
    assert build().eval()(inputs).shape == (2, 3)
    torch.manual_seed(1)
    first = build().state_dict()
    torch.manual_seed(1)
    second = build().state_dict()
    assert all(torch.equal(second[name], tensor) for name, tensor in first.items())


def test_a_builder_from_a_partial_builds_anew_each_time() -> None:
    build = BuildOnImages(partial(torch.nn.Linear, 2, 2), PREPROCESS)
    assert build() is not build()


def test_a_projecting_network_keeps_the_names_of_its_body() -> None:
    plain = BuildOnImages(BuildBare("cnn", 4), PREPROCESS)
    projecting = BuildProjecting(plain, 7)()
    assert projecting.eval()(IMAGES).shape == (2, 7)
    own = {name: tensor.shape for name, tensor in projecting.state_dict().items()}
    for name, tensor in plain().state_dict().items():
        if not name.startswith(head(plain())):
            assert own[name] == tensor.shape


def test_builders_of_the_same_network_are_equal() -> None:
    assert BuildLinear(4, 3) == BuildLinear(4, 3) != BuildLinear(5, 3)
    assert isinstance(BuildBare("cnn", 3)(), Cnn)
