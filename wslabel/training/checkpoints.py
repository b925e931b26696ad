"""Files of training: checkpoints to go on from, and the trained network."""

import json
from dataclasses import dataclass, field
from typing import Any, BinaryIO, NamedTuple, Protocol, TypedDict, cast

import pyarrow as pa
import safetensors.torch
import torch

from wslabel.errors import TrainingError
from wslabel.training.events import Record

Tensors = dict[str, torch.Tensor]

TIMES = ("seconds", "images_per_s", "data_wait")
"""Figures of an epoch that tell of the machine and not of the network."""


class Position(NamedTuple):
    """How far a network has come.

    Attributes:
        epoch: Number of epochs that are over.
        batches: Batches of the next one that were learned from.
    """

    epoch: int
    batches: int


class EpochState(TypedDict):
    """What was found in an epoch that is not over.

    Attributes:
        batches: Batches that were learned from.
        losses: Sum of the losses that each worker has added up.
        weight: Sum of what their images count.
        count: Number of images.
        waited: Seconds in which data were waited for.
        seconds: Seconds that it took so far.
    """

    batches: int
    losses: list[float]
    weight: float
    count: int
    waited: float
    seconds: float


class State(TypedDict):
    """All that going on needs; what is random follows from seed, epoch and batch.

    `begun` is what was found in the epoch that goes on; None between two epochs.
    """

    network: Tensors
    best: Tensors
    optimizer: dict[str, Any]
    schedule: dict[str, Any]
    scaler: dict[str, Any]
    next_epoch: int
    best_epoch: int
    history: list[Record]
    begun: EpochState | None


class Checkpoints(Protocol):
    """Where the checkpoints of one run are kept."""

    def latest(self) -> Any:
        """Give the bytes of the newest checkpoint; None where there is none."""
        ...

    def keep(self, position: Position, state: State) -> None:
        """Keep a checkpoint instead of those that are less far."""
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


class _Sink:
    """Keeps why a write failed: torch would put an error of its own in its place."""

    def __init__(self, sink: BinaryIO) -> None:
        self._sink = sink
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        if self.error is None:
            try:
                self._sink.write(data)
            except OSError as error:
                self.error = error
        return len(data)

    def flush(self) -> None:
        """Do nothing; whoever opened the sink sees to that."""


def pack(state: State, sink: BinaryIO) -> None:
    """Write a checkpoint, piece by piece: tensors, numbers and lists."""
    writing = _Sink(sink)
    torch.save(dict(state), writing)  # type: ignore[arg-type]
    if writing.error is not None:
        raise writing.error


def unpack(data: Any, name: str = "a network") -> State:
    """Read a checkpoint from a buffer, without running any code in it.

    Args:
        data: The buffer.
        name: Name of the network, for the message.

    Raises:
        TrainingError: It holds something else.
    """
    source: Any = pa.BufferReader(pa.py_buffer(data))
    try:
        state: Any = torch.load(source, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001 - unpickling may raise anything; raised again
        raise strange(name, error) from None
    if not isinstance(state, dict) or state.keys() != State.__required_keys__:
        raise strange(name, "it has other keys")
    return cast(State, state)


def strange(name: str, reason: object) -> TrainingError:
    """Make the error of a checkpoint that is not as `pack` wrote it."""
    text = " ".join(str(reason).split())[:200]
    return TrainingError(
        f"{name}: its checkpoint is not as wslabel writes it ({text}); remove the folder "
        "`checkpoints` of the network, then training begins anew, and see who may write there"
    )


def serialize(fitted: Fitted) -> bytes:
    """Turn a trained network into a safetensors file whose metadata holds its losses."""
    # What a machine took is not what the network is: equal networks shall be equal files.
    timeless = [{k: v for k, v in r.items() if k not in TIMES} for r in fitted.history]
    # One key only: safetensors writes several in an order that differs from run to run.
    metadata = {"training": json.dumps({"history": timeless, "best_epoch": fitted.best_epoch})}
    tensors = {name: tensor.contiguous() for name, tensor in fitted.tensors.items()}
    return safetensors.torch.save(tensors, metadata)
