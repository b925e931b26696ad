"""Files of training: checkpoints to go on from, and the trained network."""

import io
import json
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Protocol, TypedDict

import safetensors.torch
import torch

from wslabel.training.events import Record

Tensors = dict[str, torch.Tensor]

TIMES = ("seconds", "images_per_s", "data_wait")
"""Figures of an epoch that tell of the machine and not of the network."""


class State(TypedDict):
    """All that going on needs; what is random follows from seed and epoch."""

    network: Tensors
    best: Tensors
    optimizer: dict[str, Any]
    schedule: dict[str, Any]
    scaler: dict[str, Any]
    next_epoch: int
    best_epoch: int
    history: list[Record]


class Checkpoints(Protocol):
    """Where the checkpoints of one run are kept."""

    def latest(self) -> State | None:
        """Give the newest checkpoint; None where there is none."""
        ...

    def keep(self, epoch: int, state: State) -> None:
        """Keep a checkpoint instead of the one before."""
        ...


@dataclass(frozen=True)
class Fitted:
    """A trained network.

    Attributes:
        tensors: Weights of the best epoch, by name.
        history: What each epoch was like.
        best_epoch: Number of the best epoch, from 1; 0 where there was none.
    """

    tensors: Tensors
    history: list[Record] = field(default_factory=list)
    best_epoch: int = 0


def pack(state: State, sink: BinaryIO) -> None:
    """Write a checkpoint: tensors, numbers and lists."""
    torch.save(dict(state), sink)


def unpack(data: bytes) -> State:
    """Read a checkpoint without running any code in it."""
    state: State = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    return state


def serialize(fitted: Fitted) -> bytes:
    """Turn a trained network into a safetensors file whose metadata holds its losses."""
    # What a machine took is not what the network is: equal networks shall be equal files.
    timeless = [{k: v for k, v in r.items() if k not in TIMES} for r in fitted.history]
    # One key only: safetensors writes several in an order that differs from run to run.
    metadata = {"training": json.dumps({"history": timeless, "best_epoch": fitted.best_epoch})}
    tensors = {name: tensor.contiguous() for name, tensor in fitted.tensors.items()}
    return safetensors.torch.save(tensors, metadata)
