"""What stages did is kept entry by entry, and read in the order in which they finished."""

from pathlib import Path

from wslabel.storage.location import Location
from wslabel.workspace import log


def test_entries_come_back_in_order(tmp_path: Path) -> None:
    location = Location(str(tmp_path))
    assert log.read(location) == []
    for stage in ("vote", "ingest", "ingest"):
        log.note(location, {"stage": stage, "made": 1, "errors": {"missing": 2}})
    entries = log.read(location)
    assert [entry.stage for entry in entries] == ["vote", "ingest", "ingest"]
    assert entries[0].errors == {"missing": 2}
    assert entries[0].finished < entries[1].finished < entries[2].finished
