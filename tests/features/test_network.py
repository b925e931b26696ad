"""Checkpoints fit exactly or are refused; a precision is fast and right or not taken."""

import copy
import os
import pickle
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
import torchvision

from wslabel.errors import WeightsError
from wslabel.features import network
from wslabel.settings import Preprocess

Outputs = Callable[[np.ndarray], np.ndarray]


def small() -> torch.nn.Module:
    torch.manual_seed(1)
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))


def saved(path: Path, state: object) -> Path:
    torch.save(state, path)
    return path


def test_a_fitting_checkpoint_fills_the_network(tmp_path: Path) -> None:
    full, empty = (
        small(),
        torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2)),
    )
    network.load_state(empty, saved(tmp_path / "w.pt", full.state_dict()), "net")
    assert torch.equal(empty[0].weight, full[0].weight)
    assert torch.equal(empty[2].bias, full[2].bias)


@pytest.mark.parametrize("shape", ["plain", "state_dict", "model", "module", "safetensors"])
def test_the_usual_forms_of_checkpoints_are_read(tmp_path: Path, shape: str) -> None:
    state = small().state_dict()
    if shape == "safetensors":
        path = tmp_path / "w.safetensors"
        safetensors.torch.save_file(state, path)
    else:
        wrapped: dict[str, object] = {
            "plain": state,
            "state_dict": {"state_dict": state, "epoch": 3},
            "model": {"model": state},
            "module": {f"module.{k}": v for k, v in state.items()},
        }
        path = saved(tmp_path / "w.pt", wrapped[shape])
    found = network.read_state(path)
    assert found.keys() == state.keys()
    assert all(torch.equal(found[k], state[k]) for k in state)


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
    network.fold_normalization(folded)
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
    network.fold_normalization(odd)
    assert torch.equal(odd(images), expected)


def test_a_missing_tensor_is_named(tmp_path: Path) -> None:
    state = {k: v for k, v in small().state_dict().items() if k != "2.bias"}
    path = saved(tmp_path / "w.pt", state)
    with pytest.raises(WeightsError, match=r"w\.pt: no tensor '2\.bias', which tiny needs"):
        network.load_state(small(), path, "tiny")


def test_an_unexpected_tensor_is_named(tmp_path: Path) -> None:
    path = saved(tmp_path / "w.pt", small().state_dict() | {"extra": torch.zeros(1)})
    with pytest.raises(WeightsError, match="tensor 'extra' has no place in tiny"):
        network.load_state(small(), path, "tiny")


def test_a_tensor_of_another_shape_is_named_with_both_shapes(tmp_path: Path) -> None:
    path = saved(tmp_path / "w.pt", small().state_dict() | {"2.bias": torch.zeros(7)})
    with pytest.raises(WeightsError, match=r"'2\.bias' is \(7,\), tiny needs \(2,\)"):
        network.load_state(small(), path, "tiny")


@pytest.mark.parametrize("odd", [None, 3, "text", [1, 2]])
def test_an_entry_that_is_no_tensor_is_refused(tmp_path: Path, odd: object) -> None:
    path = saved(tmp_path / "w.pt", small().state_dict() | {"2.bias": odd})
    with pytest.raises(WeightsError, match=r"2\.bias"):
        network.load_state(small(), path, "tiny")


class Evil:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.trace),)


@pytest.mark.parametrize("writer", ["torch", "pickle"])
def test_code_in_a_checkpoint_is_refused_and_never_run(tmp_path: Path, writer: str) -> None:
    path, trace = tmp_path / "w.pt", tmp_path / "ran"
    if writer == "torch":
        torch.save({"a": Evil(trace)}, path)
    else:
        path.write_bytes(pickle.dumps({"a": Evil(trace)}))
    with pytest.raises(WeightsError, match="expected a checkpoint of tensors"):
        network.read_state(path)
    assert not trace.exists()


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
@pytest.mark.parametrize("data", [b"", b"garbage", b"<html>404</html>" * 9, b"PK\x03\x04" * 30])
def test_garbage_is_refused(tmp_path: Path, name: str, data: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(WeightsError, match="expected a checkpoint of tensors"):
        network.read_state(path)


def test_a_checkpoint_of_something_else_says_what_it_found(tmp_path: Path) -> None:
    path = saved(tmp_path / "w.pt", [torch.zeros(1)])
    with pytest.raises(WeightsError, match="expected tensors by name, found list"):
        network.read_state(path)


def test_a_body_takes_all_but_the_last_linear_layer(tmp_path: Path) -> None:
    full = small()
    path = saved(tmp_path / "w.pt", full.state_dict())
    body = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 9))
    own_head = body[2].weight.detach().clone()
    network.load_body(body, path, "tiny")
    assert torch.equal(body[0].weight, full[0].weight)
    assert torch.equal(body[2].weight, own_head)


def test_a_body_that_does_not_fit_is_named(tmp_path: Path) -> None:
    path = saved(tmp_path / "w.pt", small().state_dict() | {"0.weight": torch.zeros(1, 1)})
    with pytest.raises(WeightsError, match=r"no tensor '0\.weight' of shape \(4, 3\) for tiny"):
        network.load_body(small(), path, "tiny")


def test_images_arrive_normalized() -> None:
    how = Preprocess(mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 0.2))
    images = np.random.default_rng(0).integers(0, 256, (4, 6, 5, 3), np.uint8)
    found = network.Network(torch.nn.Identity(), how, "float32")(images).cpu().numpy()
    expected = (images / 255.0 - how.mean) / how.std
    assert np.abs(found - expected.transpose(0, 3, 1, 2)).max() < 1e-5


def test_outputs_that_point_the_same_way_agree() -> None:
    exact = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32)
    assert network.agrees(exact, exact)
    assert network.agrees(exact, exact * 1.001)


def test_one_image_far_off_is_enough_to_disagree() -> None:
    exact = np.random.default_rng(0).normal(size=(200, 8)).astype(np.float32)
    exact[7] = np.eye(8)[0]
    found = exact.copy()
    found[7, 1] = 0.3  # of 200 cosines, one is 0.96; the top output stays the same
    assert not network.agrees(exact, found)


def test_another_top_category_on_two_in_a_hundred_images_disagrees() -> None:
    exact = np.full((100, 50), 1.0, np.float32)
    exact[:, 0] = 1.001
    found = exact.copy()
    found[:1, 1] = 1.002
    assert network.agrees(exact, found)
    found[:2, 1] = 1.002
    assert not network.agrees(exact, found)


def test_outputs_that_are_no_numbers_disagree() -> None:
    exact = np.ones((4, 3), np.float32)
    found = exact.copy()
    found[2, 0] = np.nan
    assert not network.agrees(exact, found)


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


def test_a_faster_precision_that_agrees_is_taken() -> None:
    make = models({"float32": 0.02, "bfloat16": 0.002}, {"bfloat16": lambda x: plain(x) * 1.0001})
    assert network.choose_precision(make, PROBE, 16) == "bfloat16"


def test_a_faster_precision_that_disagrees_is_not_taken() -> None:
    make = models({"float32": 0.02, "bfloat16": 0.002}, {"bfloat16": lambda x: -plain(x)})
    assert network.choose_precision(make, PROBE, 16) == "float32"


def test_disagreement_on_a_late_image_is_seen() -> None:
    def wrong_on_the_last(images: np.ndarray) -> np.ndarray:
        found = plain(images)
        found[(images == PROBE[-1]).all(axis=(1, 2, 3))] *= -1
        return found

    make = models({"float32": 0.02, "bfloat16": 0.002}, {"bfloat16": wrong_on_the_last})
    assert network.choose_precision(make, PROBE, 16) == "float32"


def test_float32_stays_when_nothing_is_faster() -> None:
    make = models({"float32": 0.002, "bfloat16": 0.02}, {})
    assert network.choose_precision(make, PROBE, 16) == "float32"
