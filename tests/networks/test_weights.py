"""Weight files fit exactly or are refused, and no code in them is run."""

import os
import pickle
import zipfile
from pathlib import Path

import pytest
import safetensors.torch
import torch

from wslabel.errors import WeightsError
from wslabel.networks.weights import load_body, load_state, read_state, refuse_folded


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
    load_state(empty, saved(tmp_path / "w.pt", full.state_dict()), "net")
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
    found = read_state(path)
    assert found.keys() == state.keys()
    assert all(torch.equal(found[k], state[k]) for k in state)


def test_a_missing_tensor_is_named(tmp_path: Path) -> None:
    state = {k: v for k, v in small().state_dict().items() if k != "2.bias"}
    path = saved(tmp_path / "w.pt", state)
    with pytest.raises(WeightsError, match=r"w\.pt: no tensor '2\.bias', which tiny needs"):
        load_state(small(), path, "tiny")


def test_an_unexpected_tensor_is_named(tmp_path: Path) -> None:
    path = saved(tmp_path / "w.pt", small().state_dict() | {"extra": torch.zeros(1)})
    with pytest.raises(WeightsError, match="tensor 'extra' has no place in tiny"):
        load_state(small(), path, "tiny")


def test_a_tensor_of_another_shape_is_named_with_both_shapes(tmp_path: Path) -> None:
    path = saved(tmp_path / "w.pt", small().state_dict() | {"2.bias": torch.zeros(7)})
    with pytest.raises(WeightsError, match=r"'2\.bias' is \(7,\), tiny needs \(2,\)"):
        load_state(small(), path, "tiny")


@pytest.mark.parametrize("odd", [None, 3, "text", [1, 2]])
def test_an_entry_that_is_no_tensor_is_refused(tmp_path: Path, odd: object) -> None:
    path = saved(tmp_path / "w.pt", small().state_dict() | {"2.bias": odd})
    with pytest.raises(WeightsError, match=r"2\.bias"):
        load_state(small(), path, "tiny")


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
    with pytest.raises(WeightsError, match="expected a checkpoint of tensors") as caught:
        read_state(path)
    assert not trace.exists()
    assert "Re-running" not in str(caught.value), "advice to run the code"


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
@pytest.mark.parametrize("data", [b"", b"garbage", b"<html>404</html>" * 9, b"PK\x03\x04" * 30])
def test_garbage_is_refused(tmp_path: Path, name: str, data: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(WeightsError, match="expected a checkpoint of tensors"):
        read_state(path)


def test_a_checkpoint_of_something_else_says_what_it_found(tmp_path: Path) -> None:
    path = saved(tmp_path / "w.pt", [torch.zeros(1)])
    with pytest.raises(WeightsError, match="expected tensors by name, found list"):
        read_state(path)


def test_a_body_takes_all_but_the_last_linear_layer(tmp_path: Path) -> None:
    full = small()
    path = saved(tmp_path / "w.pt", full.state_dict())
    body = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 9))
    own_head = body[2].weight.detach().clone()
    load_body(body, path, "tiny")
    assert torch.equal(body[0].weight, full[0].weight)
    assert torch.equal(body[2].weight, own_head)


def test_a_body_that_does_not_fit_is_named(tmp_path: Path) -> None:
    path = saved(tmp_path / "w.pt", small().state_dict() | {"0.weight": torch.zeros(1, 1)})
    with pytest.raises(WeightsError, match=r"no tensor '0\.weight' of shape \(4, 3\) for tiny"):
        load_body(small(), path, "tiny")


def test_a_body_without_any_linear_layer_is_taken_whole(tmp_path: Path) -> None:
    full, empty = torch.nn.Conv2d(3, 4, 1), torch.nn.Conv2d(3, 4, 1)
    load_body(empty, saved(tmp_path / "w.pt", full.state_dict()), "tiny")
    assert torch.equal(empty.weight, full.weight)


def test_what_wslabel_trained_is_a_body_too(tmp_path: Path) -> None:
    full = small()
    state = {f"network.{name}": tensor for name, tensor in full.state_dict().items()}
    body = small()
    torch.nn.init.zeros_(body[0].weight)
    load_body(body, saved(tmp_path / "w.pt", state), "tiny")
    assert torch.equal(body[0].weight, full[0].weight)


def test_folded_normalizations_are_refused(tmp_path: Path) -> None:
    norm = torch.nn.BatchNorm2d(3)
    path = saved(tmp_path / "w.pt", norm.state_dict())
    with pytest.raises(WeightsError, match="its batch normalizations were folded"):
        refuse_folded(path)
    norm(torch.randn(4, 3, 2, 2) + 1)
    refuse_folded(saved(tmp_path / "w.pt", norm.state_dict()))
    refuse_folded(saved(tmp_path / "w.pt", small().state_dict()))  # has none


class Room:
    def __reduce__(self) -> tuple[object, ...]:
        return bytearray, (2**33,)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_number_that_asks_for_memory_is_refused(tmp_path: Path, zipped: bool) -> None:
    torch.save({"a": Room()}, tmp_path / "w.pt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(WeightsError, match=r"w\.pt: .* it holds a bytearray"):
        read_state(tmp_path / "w.pt")


def test_records_that_unpack_to_more_than_the_file_are_refused(tmp_path: Path) -> None:
    path, packed = saved(tmp_path / "w.pt", {"a": torch.zeros(10**6)}), tmp_path / "packed.pt"
    with zipfile.ZipFile(path) as whole, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as to:
        for name in whole.namelist():
            to.writestr(name, whole.read(name))
    with pytest.raises(WeightsError, match=r"unpack to 4,000,\d+ bytes, and the file has [\d,]+;"):
        read_state(packed)
    assert read_state(path)["a"].shape == (10**6,)


def test_one_record_by_many_names_takes_no_memory(tmp_path: Path) -> None:
    """torch finds records whatever the case of their letters, and would read one again for each."""
    path, forged = tmp_path / "w.pt", tmp_path / "forged.pt"
    saved(path, {"a": torch.zeros(1000), "b": torch.ones(1000)})
    with zipfile.ZipFile(path) as whole, zipfile.ZipFile(forged, "w") as to:
        for name in whole.namelist():
            data = whole.read(name)
            if name.endswith("data.pkl"):
                first, second = (b"X\x01\0\0\0" + mark for mark in (b"0", b"1"))
                data = data.replace(first, b"X\x01\0\0\0q").replace(second, b"X\x01\0\0\0Q")
            to.writestr(name.replace("data/0", "data/q"), data)
    state = read_state(forged)
    assert state["a"].tolist() == state["b"].tolist() == [0] * 1000
    own = {tensor.untyped_storage().data_ptr() for tensor in state.values()}
    assert len(own) == 1
