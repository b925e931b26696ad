"""Two drivers on one workspace, in any order of their accesses to storage, with faults and deaths.

Hypothesis draws what happens; a model says what must be: each image in exactly one state, every row
beside its image, counts that add up, and under no name another content than it ever had.
"""

import hashlib
import io
import os
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import hypothesis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from PIL import Image

from tests.conftest import write_config
from tests.faults.drivers import Driver, Order, drivers
from wslabel.errors import WorkLeft
from wslabel.project.loading import load
from wslabel.project.project import Project
from wslabel.schema import ERROR_KINDS
from wslabel.storage import table as tables
from wslabel.workspace.status import status
from wslabel.workspace.workspace import Workspace

FOLDERS, NAMES = ("monday", "tuesday"), tuple(f"{n}.png" for n in range(8))
IMAGES = st.tuples(st.sampled_from(FOLDERS), st.sampled_from(NAMES))
RETRY = ("not_an_image", "missing", "changed")
DRIVERS = st.sampled_from("AB")
MANY = "WSLABEL_INTERLEAVINGS"
"""Set it to a number of examples, of fifty steps each."""
PHASES = [Phase.generate] if os.environ.get("WSLABEL_NO_SHRINKING") else list(Phase)


def color(folder: str, name: str) -> tuple[int, int, int]:
    """Each image has a color of its own, so a row tells whose it is; half are blue, half green."""
    number = 10 * FOLDERS.index(folder) + NAMES.index(name)
    high, low = 200 + number, number
    return (1, low, high) if number % 2 else (1, high, low)


def picture(folder: str, name: str) -> bytes:
    sink = io.BytesIO()
    Image.new("RGB", (4, 4), color(folder, name)).save(sink, "PNG")
    return sink.getvalue()


class Interleavings(RuleBasedStateMachine):
    """A source whose images come, break and are mended, and two drivers over it."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.root = Path(self.stack.enter_context(TemporaryDirectory(prefix="wslabel-")))
        self.start = self.stack.enter_context(drivers())
        patch = self.stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(tables, "GROUP_SIZE", 2)
        self.running: dict[str, Driver] = {}
        self.listed: set[tuple[str, str]] = set()
        self.ever_failed: set[tuple[str, str]] = set()
        self.contents: dict[str, str] = {}
        self.seen: dict[str, tuple[int, int, int]] = {}

    def project(self, folder: str) -> Project:
        config = {
            "workspace": "ws",
            "classes": ["jungle", "sea"],
            "images": {"source": "folder", "path": folder, "shard_size": 3},
            "features": {"color": {}},
            "labeling_functions": [
                {
                    "name": "mean",
                    "kind": "color",
                    "statistic": "mean",
                    "votes": {"blue": "sea", "green": "jungle"},
                }
            ],
            "label_model": {"kind": "majority"},
            "engine": {"max_error_share": 1.0, "driver_groups": 1000, "fetch_threads": 1},
        }
        return load(write_config(self.root / f"{folder}.yaml", config))

    def path(self, image: tuple[str, str]) -> Path:
        return self.root.joinpath(*image)

    def put(self, image: tuple[str, str], data: bytes) -> None:
        """Change a file of the source at once, as object stores do."""
        draft = self.root / "draft"
        draft.write_bytes(data)
        draft.replace(self.path(image))

    @initialize()
    def begin(self) -> None:
        for folder in FOLDERS:
            (self.root / folder).mkdir()
            self.put((folder, "0.png"), picture(folder, "0.png"))

    @rule(image=IMAGES)
    def an_image_comes_or_is_mended(self, image: tuple[str, str]) -> None:
        self.put(image, picture(*image))

    @rule(image=IMAGES)
    def an_image_breaks(self, image: tuple[str, str]) -> None:
        if self.path(image).exists():
            self.ever_failed.add(image)
            self.put(image, b"no image")

    @rule(image=IMAGES)
    def an_image_goes(self, image: tuple[str, str]) -> None:
        others = [path for path in self.path(image).parent.iterdir() if path != self.path(image)]
        if others and self.path(image).exists():  # an empty folder is refused
            self.ever_failed.add(image)
            self.path(image).unlink()

    @rule(name=DRIVERS, folder=st.sampled_from(FOLDERS), retry=st.booleans())
    def a_driver_starts(self, name: str, folder: str, retry: bool) -> None:
        if name not in self.running:
            project = self.project(folder)
            self.running[name] = self.start(project, RETRY if retry else ())

    @rule(name=DRIVERS, steps=st.integers(1, 40))
    def a_driver_goes_on(self, name: str, steps: int) -> None:
        self.ordered(name, Order.GO, steps)

    @rule(name=DRIVERS, order=st.sampled_from([Order.FAIL, Order.BREAK, Order.DIE]))
    def a_driver_meets_a_fault(self, name: str, order: Order) -> None:
        self.ordered(name, order, 1)

    @rule(name=DRIVERS)
    def a_driver_ends(self, name: str) -> None:
        if name in self.running:
            self.running[name].finish()
            self.ended(name)

    def ordered(self, name: str, order: Order, steps: int) -> None:
        if name in self.running:
            self.running[name].go(steps, order)
            self.ended(name)

    def ended(self, name: str) -> None:
        """What a driver may end with beside a good end is to be told to run again."""
        driver = self.running[name]
        if driver.is_over:
            del self.running[name]
            if driver.error is not None and not isinstance(driver.error, WorkLeft):
                assert "an outage" in str(driver.error) or "is gone" in str(driver.error), (
                    driver.error
                )

    @invariant()
    def no_content_changes_under_a_name(self) -> None:
        workspace = self.root / "ws"
        for folder in ("images", "features", "votes", "labels"):
            for path in (workspace / folder).rglob("*.parquet"):
                stat = path.stat()
                state, name = (stat.st_ino, stat.st_mtime_ns, stat.st_size), str(path)
                if self.seen.get(name) == state:
                    continue
                self.seen[name] = state
                rows = pq.read_table(path)
                if folder == "features" and not rows.num_rows:
                    continue  # a newer generation stands for it
                content = hashlib.sha256(str(rows.to_pydict()).encode()).hexdigest()
                assert self.contents.setdefault(name, content) == content, name

    @precondition(lambda self: not self.running)
    @rule(folder=st.sampled_from(FOLDERS))
    def all_is_well_in_the_end(self, folder: str) -> None:
        """A run that nothing disturbs finishes all, and every law holds."""
        project = self.project(folder)
        driver = self.start(project)
        driver.finish()
        assert driver.error is None, driver.error
        self.no_content_changes_under_a_name()
        workspace = Workspace(project)
        images = [
            pq.read_table(self.root / "ws" / "images" / f"{s:05d}.parquet")
            for s in workspace.shards
        ]
        assert workspace.shards == list(range(len(images)))
        self.every_image_is_there_once(pa.concat_tables(images), folder)
        rows = self.features_beside(images)
        self.labels_follow(Workspace(project), rows)
        assert all(table.missing == 0 for table in status(project))
        counts = {table.table: table.rows for table in status(project)}
        assert set(counts.values()) == {sum(shard.num_rows for shard in images)}, counts

    def every_image_is_there_once(self, images: pa.Table, folder: str) -> None:
        uris = images.column("uri").to_pylist()
        assert len(set(uris)) == len(uris)
        assert len(set(images.column("image_id").to_pylist())) == len(uris)
        now = {str(path) for path in (self.root / folder).iterdir()}
        assert now <= set(uris)

    def features_beside(self, images: list[pa.Table]) -> list[dict[str, Any]]:
        """Every row is its image's: of its color, or of an error that it had."""
        (folder,) = (self.root / "ws" / "features").iterdir()
        every: list[dict[str, Any]] = []
        for shard, manifest in enumerate(images):
            newest = max(folder.glob(f"{shard:05d}*.parquet"), key=_generation)
            rows = pq.read_table(newest)
            assert rows.column("image_id").equals(manifest.column("image_id"))
            for uri, row in zip(manifest.column("uri").to_pylist(), rows.to_pylist(), strict=True):
                image = (Path(uri).parent.name, Path(uri).name)
                if row["error"] is None:
                    means = tuple(round(row[f"mean_{c}"]) for c in ("red", "green", "blue"))
                    assert means == color(*image), uri
                else:
                    assert row["error"] in ERROR_KINDS
                    assert image in self.ever_failed
                    assert row["mean_red"] is None
                every.append(row)
        return every

    def labels_follow(self, workspace: Workspace, rows: list[dict[str, Any]]) -> None:
        for derived, column, nothing in (
            (workspace.votes, "mean", -1),
            (workspace.labels, "label", None),
        ):
            folder = self.root / "ws" / derived.table.folder
            found = [
                row for name in derived.state for row in pq.read_table(folder / name).to_pylist()
            ]
            for row, seen in zip(found, rows, strict=True):
                assert row["image_id"] == seen["image_id"]
                is_sea = None if seen["error"] else seen["mean_blue"] > seen["mean_green"]
                assert row[column] == (nothing if is_sea is None else int(is_sea))

    @precondition(lambda self: not self.running)
    @rule()
    def what_failed_is_taken_up_again(self) -> None:
        """Once all files are whole, a retry leaves no error."""
        for image in self.ever_failed:
            self.put(image, picture(*image))
        project = self.project("monday")
        for retry in (RETRY, ()):
            driver = self.start(project, retry)
            driver.finish()
            assert driver.error is None, driver.error
        assert all(not table.errors for table in status(project))
        self.all_is_well_in_the_end("monday")

    def teardown(self) -> None:
        try:
            for name in list(self.running):
                self.running[name].finish()
                self.ended(name)
            if (self.root / "monday").exists():
                self.all_is_well_in_the_end("monday")
        finally:
            self.stack.close()


def _generation(path: Path) -> int:
    parts = path.name.split(".")
    return int(parts[1]) if len(parts) == 3 else 0


def play(examples: int) -> None:
    run_state_machine_as_test(
        Interleavings,
        settings=hypothesis.settings(
            max_examples=examples,
            stateful_step_count=50,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=PHASES,
            print_blob=True,
        ),
    )


def test_any_interleaving_of_two_drivers_leaves_a_whole_workspace() -> None:
    play(int(os.environ.get(MANY, "15")))
