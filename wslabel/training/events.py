"""What workers tell the driver while they train; light, so that its process is up at once."""

from collections.abc import Callable
from dataclasses import dataclass

from wslabel.errors import TrainingError

Record = dict[str, float]
"""What one epoch was like: losses, metrics, rates."""


@dataclass(frozen=True, kw_only=True)
class EpochEvent:
    """What a worker tells while it trains: an epoch is over, or training goes on from a checkpoint.

    Attributes:
        name: Name of the network.
        epochs: Number of epochs that its settings ask for.
        record: What the epoch was like that is over; None where training goes on.
        earlier: Records of all epochs before training went on; empty after an epoch of now.
        batches: Batches of the epoch it goes on in that were learned from before.
    """

    name: str
    epochs: int
    record: Record | None = None
    earlier: tuple[Record, ...] = ()
    batches: int = 0


OnEvent = Callable[[EpochEvent], None]
"""Is called with each event, in the process of the driver."""


class EventQueue:
    """Where the first worker of a group leaves its events, and the driver takes them."""

    def __init__(self) -> None:
        self._events: list[EpochEvent] = []
        self._failure: TrainingError | None = None

    def post(self, event: EpochEvent) -> None:
        """Leave an event."""
        self._events.append(event)

    def fail(self, error: TrainingError) -> None:
        """Leave why nothing can be learned, which trying again does not change."""
        self._failure = error

    def failure(self) -> TrainingError | None:
        """Give the reason why nothing can be learned, if there is one."""
        return self._failure

    def take(self) -> list[EpochEvent]:
        """Take the events left since the last time."""
        taken, self._events = self._events, []
        return taken
