"""What the engine runs: items through a step, each giving a receipt."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from wslabel.errors import TransientStorageError, WslabelError

T = TypeVar("T")


@dataclass(frozen=True)
class Receipt:
    """What became of one item.

    Attributes:
        item: its key, a shard or a group.
        num_images: that it covers.
        errors: images that failed, by kind.
        left: why the item stayed uncommitted, where storage failed transiently.
        failure: what must stop the job.
        result: what the step found, where it is to find something.
    """

    item: int
    num_images: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    left: str | None = None
    failure: WslabelError | None = None
    result: Any = None


class Step(Protocol):
    """Both halves of what is done to one item; picklable, and loads models where it is used."""

    def prepare(self, item: Any, *, isolated: bool) -> Any:
        """Do the CPU half; `isolated` where the item has killed its process before."""
        ...

    def finish(self, item: Any, prepared: Any) -> Receipt:
        """Do the rest and commit."""
        ...


def guarded(item: Any, action: Callable[[], T]) -> T | Receipt:
    """Do a part of an item's work; what goes wrong in a known way becomes a receipt."""
    try:
        return action()
    except TransientStorageError as error:
        return Receipt(item.key, left=str(error))
    except WslabelError as error:
        return Receipt(item.key, failure=error)
