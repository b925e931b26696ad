"""Where networks and their checkpoints are kept: folders of a workspace."""

import io
import json
from dataclasses import dataclass

from wslabel.storage.location import Location
from wslabel.training.checkpoints import State, pack, unpack
from wslabel.training.events import Record
from wslabel.training.run import Run
from wslabel.training.trackers import TRACKERS, TrackedRun, tensorboard_events
from wslabel.workspace.networks import CARD, NETWORK


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
        return WorkspaceCheckpoints(self.location, f"{run.folder}/checkpoints")

    def finish(self, run: Run, network: bytes, history: list[Record], best_epoch: int) -> None:
        """Keep a network with its card, and forget its checkpoints."""
        card = dict(run.card) | {"history": history, "best_epoch": best_epoch}
        card["metrics"] = history[best_epoch - 1] if best_epoch else {}
        data = json.dumps(card, sort_keys=True, indent=1).encode()
        self.location.create(f"{run.folder}/{CARD}", data)
        self.location.create(f"{run.folder}/{NETWORK}", network)
        self.checkpoints(run).forget()

    def log(self, run: Run, record: Record) -> None:
        """Write what TensorBoard shows, one file per epoch, and tell the trackers asked for."""
        file = f"{run.folder}/tensorboard/{int(record['epoch']):05d}.tfevents"
        self.location.create(file, tensorboard_events(record))
        identity = run.folder.rpartition("/")[2]
        tracked = TrackedRun(name=run.name, identity=identity, card=run.card)
        for logger in run.supervision.loggers:
            TRACKERS[logger](tracked, record)


@dataclass(frozen=True)
class WorkspaceCheckpoints:
    """The checkpoints of one network: the last one, and the one before until it is there.

    Attributes:
        location: Root of the workspace.
        folder: Folder of the checkpoints.
    """

    location: Location
    folder: str

    def latest(self) -> State | None:
        """Give the newest checkpoint; None where there is none."""
        names = [entry.path for entry in self.location.files(self.folder)]
        if not names:
            return None
        return unpack(self.location.read(f"{self.folder}/{names[-1]}").to_pybytes())

    def keep(self, epoch: int, state: State) -> None:
        """Keep a checkpoint, and forget those before it."""
        sink = io.BytesIO()
        pack(state, sink)
        name = f"{epoch:05d}.pt"
        self.location.create(f"{self.folder}/{name}", sink.getvalue())
        self.forget(but=name)

    def forget(self, but: str | None = None) -> None:
        """Remove all checkpoints, or all but one."""
        for entry in self.location.files(self.folder):
            if entry.path != but:
                self.location.delete(f"{self.folder}/{entry.path}")
