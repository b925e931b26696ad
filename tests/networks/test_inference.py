"""Images arrive normalized; a precision is fast and right or not taken."""

import copy
import json
import time
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torchvision

from wslabel.config.preprocess import Preprocess
from wslabel.engine.gpus import GIVEN
from wslabel.networks import inference
from wslabel.networks.inference import (
    Choice,
    ImageNetwork,
    Outputs,
    agrees,
    choose_precision,
    device,
    fold_normalization,
    lower_precisions,
    machine,
)


def lively(module: torch.nn.Module) -> torch.nn.Module:
    """Give batch normalizations statistics as training leaves them, unlike those of a new one."""
    torch.manual_seed(2)
    for layer in module.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.running_mean.normal_(0.0, 0.3)
            layer.running_var.uniform_(0.5, 2.0)
            torch.nn.init.uniform_(layer.weight, 0.5, 1.5)
            torch.nn.init.normal_(layer.bias, 0.0, 0.3)
    return module.eval()


@pytest.mark.parametrize("name", ["mobilenet_v2", "efficientnet_b0"])
@torch.inference_mode()
def test_folded_normalization_gives_the_same_outputs(name: str) -> None:
    whole = lively(torchvision.models.get_model(name, weights=None))
    folded = copy.deepcopy(whole)
    fold_normalization(folded)
    assert not any(isinstance(layer, torch.nn.BatchNorm2d) for layer in folded.modules())
    images = torch.randn(2, 3, 64, 64)
    expected, found = whole(images), folded(images)
    assert expected.abs().max() > 0.0
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


@torch.inference_mode()
def test_normalization_elsewhere_than_in_a_plain_chain_is_left_alone() -> None:
    class Twice(torch.nn.Sequential):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self[1](self[0](x)) + self[0](x)

    odd = lively(Twice(torch.nn.Conv2d(3, 4, 1), torch.nn.BatchNorm2d(4)))
    images = torch.randn(2, 3, 8, 8)
    expected = odd(images)
    fold_normalization(odd)
    assert torch.equal(odd(images), expected)


def test_images_arrive_normalized() -> None:
    preprocess = Preprocess(mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 0.2))
    images = np.random.default_rng(0).integers(0, 256, (4, 6, 5, 3), np.uint8)
    found = ImageNetwork(torch.nn.Identity(), preprocess, "float32")(images).cpu().numpy()
    expected = (images / 255.0 - preprocess.mean) / preprocess.std
    assert np.abs(found - expected.transpose(0, 3, 1, 2)).max() < 1e-5


def test_outputs_that_point_the_same_way_agree() -> None:
    exact = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32)
    assert agrees(exact, exact)
    assert agrees(exact, exact * 1.001)


def test_one_image_far_off_is_enough_to_disagree() -> None:
    exact = np.random.default_rng(0).normal(size=(200, 8)).astype(np.float32)
    exact[7] = np.eye(8)[0]
    found = exact.copy()
    found[7, 1] = 0.3  # of 200 cosines, one is 0.96; the top output stays the same
    assert not agrees(exact, found)


def test_another_top_category_on_two_in_a_hundred_images_disagrees() -> None:
    exact = np.full((100, 50), 1.0, np.float32)
    exact[:, 0] = 1.001
    found = exact.copy()
    found[:1, 1] = 1.002
    assert agrees(exact, found)
    found[:2, 1] = 1.002
    assert not agrees(exact, found)


def test_outputs_that_are_no_numbers_disagree() -> None:
    exact = np.ones((4, 3), np.float32)
    found = exact.copy()
    found[2, 0] = np.nan
    assert not agrees(exact, found)


PROBE = np.random.default_rng(5).integers(0, 256, (40, 2, 2, 3), np.uint8)


def plain(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1).astype(np.float32)


def models(seconds: dict[str, float], outputs: dict[str, Outputs]) -> Callable[[str], Outputs]:
    """Real callables of which each takes its own time and gives its own outputs."""

    def make(precision: str) -> Outputs:
        def run(images: np.ndarray) -> np.ndarray:
            time.sleep(seconds.get(precision, 0.03))
            return outputs.get(precision, plain)(images)

        return run

    return make


def chosen(make: Callable[[str], Outputs], num_images: int = 10**6) -> str:
    choice = choose_precision(make, PROBE, size=16, num_images=num_images, lower=["bfloat16"])
    assert choice.is_measured
    return choice.precision


def test_a_faster_precision_that_agrees_is_taken() -> None:
    make = models({"float32": 0.02, "bfloat16": 0.002}, {"bfloat16": lambda x: plain(x) * 1.0001})
    assert chosen(make) == "bfloat16"


def test_a_faster_precision_that_disagrees_is_not_taken() -> None:
    make = models({"float32": 0.02, "bfloat16": 0.002}, {"bfloat16": lambda x: -plain(x)})
    assert chosen(make) == "float32"


def test_disagreement_on_a_late_image_is_seen() -> None:
    def wrong_on_the_last(images: np.ndarray) -> np.ndarray:
        found = plain(images)
        found[(images == PROBE[-1]).all(axis=(1, 2, 3))] *= -1
        return found

    make = models({"float32": 0.02, "bfloat16": 0.002}, {"bfloat16": wrong_on_the_last})
    assert chosen(make) == "float32"


def test_float32_stays_when_nothing_is_faster() -> None:
    make = models({"float32": 0.002, "bfloat16": 0.02}, {})
    assert chosen(make) == "float32"


def test_a_gain_that_would_not_pay_for_comparing_is_left() -> None:
    """Comparing 40 images in both takes as long as is gained on 50 images."""
    make = models({"float32": 0.018, "bfloat16": 0.002}, {})
    for num_images, expected in ((45, Choice("float32", False)), (500, Choice("bfloat16", True))):
        found = choose_precision(make, PROBE, size=16, num_images=num_images, lower=["bfloat16"])
        assert found == expected


def each(seconds: dict[str, float], seen: list[tuple[str, int]]) -> Callable[[str], Outputs]:
    """Callables that take their time for every image, and note how many they are given."""

    def make(precision: str) -> Outputs:
        def run(images: np.ndarray) -> np.ndarray:
            seen.append((precision, len(images)))
            time.sleep(seconds[precision] * len(images))
            return plain(images)

        return run

    return make


def test_what_is_much_slower_is_given_up_after_single_images() -> None:
    seen: list[tuple[str, int]] = []
    make = each({"float32": 0.001, "bfloat16": 0.05}, seen)
    choice = choose_precision(make, PROBE, size=16, num_images=10**6, lower=["bfloat16"])
    assert choice == Choice("float32", is_measured=True)
    assert [count for precision, count in seen if precision == "bfloat16"] == [1, 1]


def test_a_slow_network_is_measured_for_a_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """So few images are compared as the time allows, and none where these would be too few."""
    monkeypatch.setattr(inference, "MOST_SECONDS", 1.0)
    monkeypatch.setattr(inference, "TIMED_SECONDS", 0.1)
    monkeypatch.setattr(inference, "LARGEST_SHARE", 0.0)
    for slow, precision, num_compared in ((0.015, "bfloat16", 40), (0.05, "float32", 0)):
        seen: list[tuple[str, int]] = []
        make = each({"float32": slow, "bfloat16": 0.005}, seen)
        begun = time.perf_counter()
        choice = choose_precision(make, PROBE, size=16, num_images=10**4, lower=["bfloat16"])
        assert time.perf_counter() - begun < 6.0
        assert choice == Choice(precision, is_measured=num_compared > 0)
        compared = [count for name, count in seen[2:] if name == "bfloat16"]
        assert sum(compared[-3:]) >= num_compared


def test_a_machine_is_told_by_what_computes() -> None:
    assert json.dumps(machine()) == json.dumps(machine())
    assert torch.__version__ in machine()
    assert set(lower_precisions()) <= {"bfloat16", "float16"}


@pytest.mark.parametrize(
    ("given", "is_seen", "expected"),
    [(None, True, "cpu"), ("", True, "cpu"), ("0", False, "cpu"), ("0", True, "cuda")],
)
def test_a_gpu_is_used_only_by_who_was_given_one(
    given: str | None, is_seen: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: is_seen)
    monkeypatch.delenv(GIVEN, raising=False)
    if given is not None:
        monkeypatch.setenv(GIVEN, given)
    assert device().type == expected
    assert ("float16" in lower_precisions()) == (expected == "cuda")
