"""Images that nobody answers for leave their shard to a few runs, and then become rows."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import paint
from tests.kill.runs import finish, start
from tests.small import feature, small_project
from tests.sources.web import Answers, serving
from wslabel.errors import TooManyErrors, TransientStorageError, WorkLeft
from wslabel.project.project import Project
from wslabel.sources import shard_fetcher
from wslabel.stages import ingest
from wslabel.stages.featurize.featurize import featurize_step
from wslabel.storage import failures
from wslabel.workspace import attempts
from wslabel.workspace.workspace import ShardItem, Workspace

GONE = "http://127.0.0.1:9/gone.jpg"
NEW = ShardItem(0, {"color": None})


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server, and little patience with it."""
    monkeypatch.setattr(failures, "PATIENCE_S", 0.0)
    monkeypatch.setattr(shard_fetcher, "SILENT_S", 0.0)
    with serving() as address:
        yield address


def project_of(folder: Path, web: str, odd: list[str], **engine: Any) -> Project:
    """Ingest a shard of eight images from the web, some of them in odd places."""
    uris = odd + [f"{web}/200/{n}.jpg" for n in range(8 - len(odd))]
    for uri in uris:
        path = uri.removeprefix(web)
        paint(folder / "drawn.jpg", "sea", len(Answers.data))
        Answers.data[path] = (folder / "drawn.jpg").read_bytes()
    (folder / "list.csv").write_text("\n".join(["uri", *uris]))
    images = {"source": "table", "path": str(folder / "list.csv"), "shard_size": 8}
    images["allow"] = [web, "http://127.0.0.1:9"]
    project = small_project(
        folder, folder, images=images, labeling_functions=[], engine={"actors": 1} | engine
    )
    ingest.run(Workspace(project))
    return project


def compute(project: Project, item: ShardItem = NEW) -> dict[str, int]:
    """Do a shard in a run of its own."""
    step = featurize_step(Workspace(project))
    return step.finish(item, step.prepare(item, isolated=False)).errors


def errors(project: Project) -> dict[str, str]:
    table = feature(project).select(["image_id", "error"]).to_pylist()
    return {row["image_id"]: row["error"] for row in table if row["error"]}


def test_it_leaves_its_shard_to_two_more_runs_and_is_a_row_after_the_third(
    tmp_path: Path, web: str
) -> None:
    busy = f"{web}/503/busy.jpg"
    project = project_of(tmp_path, web, [busy, GONE])
    for run in (1, 2):
        told = rf"shard 0: 2 of 8 images not reached, run {run} of 3 that tries \(http"
        with pytest.raises(WorkLeft, match=told):
            compute(project)
        assert Workspace(project).generations == {"color": {}}
    assert compute(project) == {"unreachable": 2}
    assert errors(project) == {busy: "unreachable", GONE: "unreachable"}
    # Another feature is not held up again.
    assert compute(project) == {"unreachable": 2}


def test_a_run_counts_once_however_often_its_processes_die(tmp_path: Path, web: str) -> None:
    project = project_of(tmp_path, web, [GONE])
    step = featurize_step(Workspace(project))
    for _ in range(5):
        with pytest.raises(WorkLeft, match="run 1 of 3"):
            step.prepare(NEW, isolated=False)


def test_each_image_is_counted_for_itself(tmp_path: Path, web: str) -> None:
    project = project_of(tmp_path, web, [GONE])
    location = Workspace(project).location
    for run in range(7):
        attempts.note(location, 0, f"earlier-{run}", ["another"])
    with pytest.raises(WorkLeft, match="run 1 of 3"):
        compute(project)


def test_one_that_is_reached_again_is_done_and_forgotten(tmp_path: Path, web: str) -> None:
    project = project_of(tmp_path, web, [f"{web}/503/late.jpg"])
    with pytest.raises(WorkLeft):
        compute(project)
    Answers.statuses["/503/late.jpg"] = 200
    assert compute(project) == {}
    assert attempts.count(Workspace(project).location, 0) == {}


def test_one_that_is_busy_once_is_tried_again_after_all_others(tmp_path: Path, web: str) -> None:
    project = project_of(tmp_path, web, [f"{web}/shaky/once.jpg"])
    assert compute(project) == {}
    assert Answers.asked["/shaky/once.jpg"] == 2
    assert errors(project) == {}


def test_rows_are_taken_up_again_when_asked(tmp_path: Path, web: str) -> None:
    project = project_of(tmp_path, web, [f"{web}/503/back.jpg"], max_attempts=1)
    assert compute(project) == {"unreachable": 1}
    again = ShardItem(0, {"color": 0}, frozenset({"unreachable"}))
    assert compute(project, again) == {"unreachable": 1}
    assert Workspace(project).generations == {"color": {0: 0}}  # nothing has changed
    Answers.statuses["/503/back.jpg"] = 200
    assert compute(project, again) == {}
    assert Workspace(project).generations == {"color": {0: 1}}
    assert errors(project) == {}


def test_a_source_that_is_simply_wrong_stops_the_job(tmp_path: Path, web: str) -> None:
    project = project_of(tmp_path, web, [f"{GONE}-{n}" for n in range(4)])
    for _ in range(2):  # it may only be down
        with pytest.raises(TransientStorageError, match="shard 0: 4 of 8 images not reached"):
            compute(project)
    with pytest.raises(TooManyErrors, match=r"4 of 8 images failed \(unreachable 4\)"):
        compute(project)
    assert Workspace(project).generations == {"color": {}}


def test_what_will_not_pass_stops_the_job_before_anything_is_waited_for(
    tmp_path: Path, web: str
) -> None:
    odd = [f"{web}/404/{n}.jpg" for n in range(4)]
    project = project_of(tmp_path, web, [*odd, GONE])
    with pytest.raises(TooManyErrors, match=r"4 of 7 images failed \(missing 4\)"):
        compute(project)


@pytest.mark.long
def test_the_command_line_says_to_run_again_until_it_is_done(tmp_path: Path, web: str) -> None:
    project = project_of(tmp_path, web, [GONE], max_attempts=2)
    process = start(tmp_path / "p.yaml", WSLABEL_QUIET="", CI="")
    _, told = process.communicate(timeout=200)
    assert process.returncode == 3
    assert "featurize: left for the next run: shard 0: 1 of 8 images not reached" in told
    assert "run 1 of 2 that tries (http://127.0.0.1:9/gone.jpg: storage failed" in told
    assert told.endswith(f"next: wslabel run {tmp_path}/p.yaml\n")
    assert "Traceback" not in told
    assert "--retry unreachable" in finish(start(tmp_path / "p.yaml"))
    assert errors(project) == {GONE: "unreachable"}
