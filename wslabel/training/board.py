"""What workers tell the driver while they train; light, so that its process is up at once."""

from dataclasses import dataclass

from wslabel.errors import TrainingError

Record = dict[str, float]
"""What one epoch was like: losses, metrics, rates."""


@dataclass(frozen=True)
class News:
    """What a worker says while it trains: an epoch's record, or that it goes on after some."""

    name: str
    epochs: int
    record: Record
    earlier: tuple[Record, ...] = ()


class Board:
    """Where the first worker of a group leaves its news, and the driver takes them."""

    def __init__(self) -> None:
        self._news: list[News] = []
        self._failure: TrainingError | None = None

    def post(self, news: News) -> None:
        """Leave some news."""
        self._news.append(news)

    def fail(self, error: TrainingError) -> None:
        """Leave why nothing can be learned, which trying again does not change."""
        self._failure = error

    def failure(self) -> TrainingError | None:
        """Tell why nothing can be learned, if so it is."""
        return self._failure

    def take(self) -> list[News]:
        """Take what was left since the last time."""
        taken, self._news = self._news, []
        return taken
