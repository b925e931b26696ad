"""Checkpoints come back as they were, and run no code."""

import io
import json
import pickle
import struct
from pathlib import Path

import pytest
import torch

from wslabel.errors import TrainingError
from wslabel.training.checkpoints import Fitted, State, pack, serialize, unpack

STATE: State = {
    "network": {"a": torch.ones(2)},
    "best": {"a": torch.zeros(2)},
    "optimizer": {"state": {}, "param_groups": [{"lr": 0.1, "params": [0]}]},
    "schedule": {"last_epoch": 3},
    "scaler": {},
    "next_epoch": 3,
    "best_epoch": 2,
    "history": [{"epoch": 1.0, "loss": 0.5}],
    "begun": None,
}


def test_a_checkpoint_comes_back_as_it_was() -> None:
    sink = io.BytesIO()
    pack(STATE, sink)
    again = unpack(sink.getvalue())
    assert again.keys() == STATE.keys()
    assert torch.equal(again["network"]["a"], torch.ones(2))
    assert again["history"] == STATE["history"]


class Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.mkdir, (self.path,)


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    sink = io.BytesIO()
    torch.save({"network": Evil(tmp_path / "ran")}, sink)
    for data in (sink.getvalue(), pickle.dumps(Evil(tmp_path / "ran"))):
        with pytest.raises(TrainingError, match=r"^soft: its checkpoint is not as .*; remove the"):
            unpack(data, "soft")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", {"network": {}}, [1, 2]])
def test_a_checkpoint_of_something_else_is_refused(content: object) -> None:
    sink = io.BytesIO()
    if isinstance(content, bytes):
        sink.write(content)
    else:
        torch.save(content, sink)
    with pytest.raises(TrainingError, match="its checkpoint is not as wslabel writes it"):
        unpack(sink.getvalue())


def test_equal_networks_are_equal_files_whatever_the_machine_took() -> None:
    fitted = [
        Fitted({"a": torch.ones(2)}, [{"epoch": 1.0, "loss": 0.5, "seconds": seconds}], 1)
        for seconds in (1.0, 2.0)
    ]
    first, second = map(serialize, fitted)
    assert first == second
    (length,) = struct.unpack("<Q", first[:8])
    metadata = json.loads(first[8 : 8 + length])["__metadata__"]
    told = json.loads(metadata["training"])
    assert told == {"history": [{"epoch": 1.0, "loss": 0.5}], "best_epoch": 1}
