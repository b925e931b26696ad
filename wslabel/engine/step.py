"""What the engine runs: a step turns each item into the result of that item."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from wslabel.errors import StorageError, TransientStorageError, WorkLeft, WslabelError
from wslabel.storage.failures import is_permanent, reason_of

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class ItemResult:
    """What became of one item.

    Attributes:
        item: Key of the item, a shard or a group.
        num_images: Images that it covers.
        errors: Images that failed, by kind of error.
        left: Why the item stayed uncommitted; the next run takes it up.
        is_storage_failing: Whether that was for a transient failure of storage, which others may
            meet too, and not for the item's own sake.
        note: What a user should know of how it was done; said once, however many items have it.
        failure: What must stop the job.
        value: What the step computed, where its work is not a table.
    """

    item: int
    num_images: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    left: str | None = None
    is_storage_failing: bool = False
    note: str = ""
    failure: WslabelError | None = None
    value: Any = None


class Item(Protocol):
    """A shard or a group with all that is to be done to it; picklable."""

    @property
    def key(self) -> int:
        """Number of the shard, or of the group's first shard."""
        ...


ItemT = TypeVar("ItemT", bound=Item, contravariant=True)
PreparedT = TypeVar("PreparedT")


class Step(Protocol[ItemT]):
    """What is done to one item; picklable, and loads models where it is used."""

    def __call__(self, item: ItemT) -> ItemResult:
        """Do it and commit."""
        ...


class SplitStep(Protocol[ItemT, PreparedT]):
    """A step in two halves, so that CPUs prepare the next items while models run on GPUs."""

    def prepare(self, item: ItemT, *, isolated: bool) -> PreparedT:
        """Do the CPU half; `isolated` where the item has killed its process before."""
        ...

    def finish(self, item: ItemT, prepared: PreparedT) -> ItemResult:
        """Do the model half and commit."""
        ...


def guarded(item: Item, action: Callable[[], T]) -> T | ItemResult:
    """Do a part of an item's work; what goes wrong in a known way becomes its result."""
    try:
        return action()
    except TransientStorageError as error:
        return ItemResult(item=item.key, left=str(error), is_storage_failing=True)
    except WorkLeft as error:
        return ItemResult(item=item.key, left=str(error))
    except WslabelError as error:
        return ItemResult(item=item.key, failure=error)
    except OSError as error:
        # What storage says of a place that may not be read is a user's matter, not a bug.
        if not is_permanent(error):
            raise
        return ItemResult(item=item.key, failure=StorageError(reason_of(error)))
