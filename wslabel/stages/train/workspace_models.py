"""Where networks and their checkpoints are kept: folders of a workspace."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import pyarrow as pa

from wslabel.errors import TrainingError, TransientStorageError
from wslabel.storage.location import Location
from wslabel.training.checkpoints import Position, State, pack
from wslabel.training.events import Record
from wslabel.training.run import Run
from wslabel.training.trackers import TrackedRun, tell, tensorboard_events
from wslabel.workspace.networks import CARD, NETWORK

CHECKPOINT = re.compile(r"(\d{5,})-(\d{9,})\.pt")
"""Epochs that are over, and batches of the next one; names sort as positions do."""


@dataclass(frozen=True)
class WorkspaceModels:
    """Keeps networks in the folders of a workspace; a network's file is the last to appear.

    Attributes:
        location: Root of the workspace.
    """

    location: Location

    def is_done(self, run: Run) -> bool:
        """Tell whether a network is trained."""
        return self.location.exists(f"{run.folder}/{NETWORK}")

    def checkpoints(self, run: Run) -> "WorkspaceCheckpoints":
        """Open the checkpoints of a run."""
        return WorkspaceCheckpoints(self.location, f"{run.folder}/checkpoints", run.name)

    def finish(self, run: Run, network: bytes, history: list[Record], best_epoch: int) -> None:
        """Keep a network with its card, and forget its checkpoints."""
        card = dict(run.card) | {"history": history, "best_epoch": best_epoch}
        card["metrics"] = history[best_epoch - 1] if best_epoch else {}
        data = json.dumps(card, sort_keys=True, indent=1).encode()
        with _training_ends(run.name):
            self.location.create(f"{run.folder}/{CARD}", data)
            self.location.create(f"{run.folder}/{NETWORK}", network)
            self.checkpoints(run).forget()

    def log(self, run: Run, record: Record) -> None:
        """Write what TensorBoard shows, one file per epoch, and tell the trackers asked for."""
        file = f"{run.folder}/tensorboard/{int(record['epoch']):05d}.tfevents"
        with _training_ends(run.name):
            self.location.create(file, tensorboard_events(record))
        identity = run.folder.rpartition("/")[2]
        tracked = TrackedRun(name=run.name, identity=identity, card=run.card)
        for logger in run.supervision.loggers:
            tell(logger, tracked, record)


@dataclass(frozen=True)
class WorkspaceCheckpoints:
    """The checkpoints of one network: the last one, and those before until it is there.

    Several drivers may train the same network at once. What lies at one position is the same
    whoever wrote it, and nobody removes what is as far as its own checkpoint, or farther.

    Attributes:
        location: Root of the workspace.
        folder: Folder of the checkpoints.
        name: Name of the network for people.
    """

    location: Location
    folder: str
    name: str

    def latest(self) -> pa.Buffer | None:
        """Give the newest checkpoint; None where there is none."""
        gone = set[str]()
        with _training_ends(self.name):
            while names := [name for name in self._names() if name not in gone]:
                try:
                    return self.location.read(f"{self.folder}/{names[-1]}")
                except FileNotFoundError:  # another driver has come farther since it was listed
                    gone.add(names[-1])
        return None

    def keep(self, position: Position, state: State) -> None:
        """Keep a checkpoint, and forget those before it; nothing where one is as far already."""
        name = f"{position.epoch:05d}-{position.batches:09d}.pt"
        with _training_ends(self.name):
            before = self._names()
            if before and before[-1] >= name:
                return
            self.location.create_by(f"{self.folder}/{name}", partial(pack, state))
            self._delete(before)

    def forget(self) -> None:
        """Remove all checkpoints, of whichever driver."""
        self._delete(self._names())

    def _names(self) -> list[str]:
        found = [entry.path for entry in self.location.files(self.folder)]
        return [name for name in found if CHECKPOINT.fullmatch(name)]

    def _delete(self, names: list[str]) -> None:
        for name in names:
            self.location.delete(f"{self.folder}/{name}")


@contextmanager
def _training_ends(name: str) -> Iterator[None]:
    """Let what storage refuses for good end training at once; what passes is tried again."""
    try:
        yield
    except TransientStorageError:
        raise
    except OSError as error:
        raise TrainingError(f"{name}: its files cannot be kept: {error}") from error
