"""Small facts computed once per workspace: `constants/<name>.json`; the first writer is right."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from wslabel.storage.location import Location


class NotMade(Exception):
    """A constant is not there, and whoever asks may only read."""


@dataclass(frozen=True)
class Constants:
    """The constants of a workspace; a name carries the fingerprint of what it depends on.

    Attributes:
        location: Root of the workspace.
        read_only: Whether a constant that is not there raises `NotMade` instead of being made.
    """

    location: Location
    read_only: bool = False

    def get(self, name: str) -> Any:
        """Read a constant, None where there is none yet."""
        try:
            return json.loads(self.location.read(f"constants/{name}.json").to_pybytes())
        except FileNotFoundError:
            return None

    def get_or_make(self, name: str, make: Callable[[], Any]) -> Any:
        """Read a constant, or make and keep it; a second writer takes the first one's."""
        kept = self.get(name)
        if kept is not None:
            return kept
        if self.read_only:
            raise NotMade(name)
        return self.keep(name, make())

    def keep(self, name: str, value: Any) -> Any:
        """Keep a constant and give what is kept: the first writer's."""
        data = json.dumps(value, sort_keys=True).encode()
        self.location.create(f"constants/{name}.json", data)
        return self.get(name)

    def forget(self, name: str) -> None:
        """Remove a constant, so that it is made anew; what was made with it keeps its name."""
        self.location.delete(f"constants/{name}.json")
