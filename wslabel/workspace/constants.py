"""Small facts computed once per workspace: `constants/<name>.json`; the first writer is right."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from wslabel.errors import StorageError, WslabelError
from wslabel.storage.failures import reason_of
from wslabel.storage.location import Location

Parse = Callable[[Any], Any]
"""Makes something of what stands in a file of JSON; raises what it likes where that is not ours."""

UNLIKE_OURS = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, AssertionError,
               RecursionError)  # fmt: skip


def as_it_is(value: Any) -> Any:
    """Take what stands in a file for what it is."""
    return value


def as_a(kind: Any) -> Parse:
    """Make what stands in a file a value of a type, of a dataclass by the keys that it has."""
    adapter: TypeAdapter[Any] = TypeAdapter(kind)

    def parse(value: Any) -> Any:
        try:
            return adapter.validate_python(value)
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]
            place = ".".join(map(str, problem["loc"]))
            reason = f"{place}: {problem['msg']}" if place else problem["msg"]
            raise ValueError(reason) from None

    return parse


def read_json(location: Location, path: str, parse: Parse = as_it_is) -> Any:
    """Read one of the small files of a workspace, which others may write to as well.

    Raises:
        StorageError: It is not as wslabel writes it.
        FileNotFoundError: There is none.
    """
    data = location.read(path).to_pybytes()
    try:
        return parse(json.loads(data))
    except WslabelError:
        raise
    except UNLIKE_OURS as error:
        raise StorageError(
            f"{location.uri(path)}: is not as wslabel writes it, so others did ({reason_of(error)})"
            "; remove it to have it made anew"
        ) from None


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

    def get(self, name: str, parse: Parse = as_it_is) -> Any:
        """Read a constant, None where there is none yet.

        Raises:
            StorageError: It is not as wslabel writes it.
        """
        try:
            return read_json(self.location, f"constants/{name}.json", parse)
        except FileNotFoundError:
            return None

    def get_or_make(self, name: str, make: Callable[[], Any], parse: Parse = as_it_is) -> Any:
        """Read a constant, or make and keep it; a second writer takes the first one's.

        Raises:
            StorageError: It is not as wslabel writes it.
        """
        kept = self.get(name, parse)
        if kept is not None:
            return kept
        if self.read_only:
            raise NotMade(name)
        return self.keep(name, make(), parse)

    def keep(self, name: str, value: Any, parse: Parse = as_it_is) -> Any:
        """Keep a constant and give what is kept: the first writer's."""
        data = json.dumps(value, sort_keys=True).encode()
        self.location.create(f"constants/{name}.json", data)
        return self.get(name, parse)

    def forget(self, name: str) -> None:
        """Remove a constant, so that it is made anew; what was made with it keeps its name."""
        self.location.delete(f"constants/{name}.json")
