"""A pickle that runs code when it is read: it leaves a mark."""

from pathlib import Path
from typing import Any


class Trap:
    """Leaves a file, once somebody unpickles it."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, (f"open({str(self.mark)!r}, 'w').close()",)
