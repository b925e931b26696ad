"""What each stage did and how long it took: one small JSON file per stage and run, in `logs/`."""

import json
import time
import uuid
from collections.abc import Mapping
from operator import itemgetter
from typing import Any

from wslabel.storage.location import Location
from wslabel.workspace.constants import read_json


def note(location: Location, entry: Mapping[str, Any]) -> None:
    """Keep what a stage did; entries are never changed."""
    now = time.time()
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(now))
    data = json.dumps({"finished": now, **entry}, sort_keys=True).encode()
    location.create(f"logs/{stamp}-{entry['stage']}-{uuid.uuid4().hex[:8]}.json", data)


def read(location: Location) -> list[dict[str, Any]]:
    """Give all entries in the order in which stages finished."""
    names = [f"logs/{entry.path}" for entry in location.files("logs")]
    found = location.read_many(names, lambda name: read_json(location, name, _entry))
    return sorted(found, key=itemgetter("finished"))


def _entry(noted: Mapping[str, Any]) -> dict[str, Any]:
    return {**noted, "finished": float(noted["finished"])}
