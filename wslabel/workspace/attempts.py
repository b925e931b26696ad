"""How often images were not reached: one small file per shard and run, `attempts/00017/RUN.json`.

A file is created exclusively and never changed, so that runs that race count each for itself, and
a shard that one run does twice, because its process died, counts once.
"""

import json
from collections import Counter
from collections.abc import Collection
from contextlib import suppress

from wslabel.storage.location import Location
from wslabel.workspace.constants import read_json


def _folder(shard: int) -> str:
    return f"attempts/{shard:05d}"


def note(location: Location, shard: int, run: str, image_ids: Collection[str]) -> None:
    """Note the images of a shard that a run could not reach."""
    data = json.dumps({"unreached": sorted(image_ids)}).encode()
    location.create(f"{_folder(shard)}/{run}.json", data)


def count(location: Location, shard: int) -> Counter[str]:
    """Count the runs that could not reach each image of a shard."""
    counts: Counter[str] = Counter()
    for entry in location.files(_folder(shard)):
        with suppress(FileNotFoundError):  # another driver reached them all
            path = f"{_folder(shard)}/{entry.path}"
            counts.update(read_json(location, path, lambda noted: {*map(str, noted["unreached"])}))
    return counts


def forget(location: Location, shard: int) -> None:
    """Remove what was noted of a shard of which everything was reached."""
    for entry in location.files(_folder(shard)):
        location.delete(f"{_folder(shard)}/{entry.path}")
