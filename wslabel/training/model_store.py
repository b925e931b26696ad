"""What training asks of whoever keeps its networks."""

from typing import Protocol

from wslabel.training.checkpoints import Checkpoints
from wslabel.training.events import Record
from wslabel.training.run import Run


class ModelStore(Protocol):
    """Where networks and their checkpoints are kept; picklable, since it travels to workers."""

    def is_done(self, run: Run) -> bool:
        """Tell whether a network is trained."""
        ...

    def checkpoints(self, run: Run) -> Checkpoints:
        """Open the checkpoints of a run."""
        ...

    def finish(self, run: Run, network: bytes, history: list[Record], best_epoch: int) -> None:
        """Keep a trained network and forget its checkpoints."""
        ...

    def log(self, run: Run, record: Record) -> None:
        """Note what an epoch was like, for those who watch from elsewhere."""
        ...
