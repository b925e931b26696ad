"""What each stage did and how long it took: one small JSON file per stage and run, in `logs/`."""

import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

from wslabel.storage.location import Location
from wslabel.workspace.constants import as_a, read_json


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What a stage did in one run.

    Attributes:
        stage: Name of the stage.
        finished: When it had finished, in seconds since 1970.
        made: Files that it made.
        num_images: Images that it went through.
        seconds: Seconds that it took.
        errors: Images that failed, by kind of error.
    """

    stage: str
    finished: float
    made: int
    num_images: int = 0
    seconds: float = 0.0
    errors: Mapping[str, int] = field(default_factory=dict)


def note(location: Location, entry: Mapping[str, Any]) -> None:
    """Keep what a stage did; entries are never changed."""
    now = time.time()
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(now))
    data = json.dumps({"finished": now, **entry}, sort_keys=True).encode()
    location.create(f"logs/{stamp}-{entry['stage']}-{uuid.uuid4().hex[:8]}.json", data)


def read(location: Location) -> list[Entry]:
    """Give all entries in the order in which stages finished."""
    names = [f"logs/{entry.path}" for entry in location.files("logs")]
    found = location.read_many(names, lambda name: read_json(location, name, as_a(Entry)))
    return sorted(found, key=attrgetter("finished"))
