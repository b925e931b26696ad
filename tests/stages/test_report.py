"""The page shows a finished run; what is counted for it adds up, and stays bounded."""

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stages.finished import finished, remove
from tests.storage.failing import fail
from wslabel.errors import WorkLeft
from wslabel.project.project import Project
from wslabel.report.evaluation import Evaluation
from wslabel.stages.report import report
from wslabel.stages.report.picks import (
    FEW_CLASSES,
    OF_ALL,
    PER_CLASS,
    Candidates,
    merged,
    of_all,
)
from wslabel.stages.report.story import image_table
from wslabel.storage.table import shard_name
from wslabel.workspace import log
from wslabel.workspace.workspace import Workspace


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return finished(tmp_path)


def made_anew(project: Project) -> str:
    remove(project, Workspace(project).report)
    result = report.run(Workspace(project))
    assert (result.stage, result.made, result.total) == ("report", 1, 1)
    assert result.page.endswith(Workspace(project).report)
    return Path(result.page).read_text()


def test_the_page_shows_what_was_run(project: Project) -> None:
    entry = {"stage": "featurize", "made": 3, "num_images": 48, "seconds": 2.0, "errors": {}}
    log.note(Workspace(project).location, entry)
    page = made_anew(project)
    for text in ("What was run", "featurize", ">24.0<", "clip_water", "label model"):
        assert text in page
    # Three scores, confidence, and the calibration of the label model and five networks.
    assert page.count('<svg class="chart"') == 3 + 1 + 1 + 5
    assert page.count("Most confident") == 2
    assert page.count("data:image/jpeg;base64,") > 8
    assert re.search(r"above 0\.\d+", page)
    assert "Failed images" in page
    assert report.run(Workspace(project)).made == 0


def test_a_page_shows_one_calibration_error_of_each_network(project: Project) -> None:
    page = made_anew(project)
    evaluation = Evaluation.from_json(Workspace(project).read_json(Workspace(project).evaluation))
    networks = page[page.index("<h2>Networks") :]
    assert len(evaluation.networks) == 5
    for name, found in evaluation.networks.items():
        error = f"{found.calibration_error:.4f}"
        curve = networks[networks.index(f"Calibration: {name}<") :]
        assert f"expected calibration error {error}." in curve
        assert f">{error}</td>" in networks


def test_an_evaluation_must_be_there(project: Project) -> None:
    remove(project, Workspace(project).evaluation)
    with pytest.raises(WorkLeft, match="run the stage evaluate first"):
        report.run(Workspace(project))


def test_a_failed_image_is_named_with_its_kind(project: Project) -> None:
    workspace = Workspace(project)
    table = workspace.extractors["color"].table(workspace.location)
    name = shard_name(workspace.shards[0])
    rows = table.read(name)
    errors = pa.array(["not_an_image", *[None] * (rows.num_rows - 1)])
    index = rows.schema.get_field_index("error")
    failed = rows.set_column(index, rows.schema.field(index), errors)
    remove(project, table.path(name))
    table.commit(name, [failed])
    page = made_anew(project)
    assert "not_an_image" in page
    assert "000000.jpg" in page or str(rows.column("image_id")[0]) in page


def labeled(seed: int, size: int, num_classes: int) -> Candidates:
    rng = np.random.default_rng(seed)
    probs_NK = rng.dirichlet(np.ones(num_classes), size)
    probs_NK[rng.random(size) < 0.2] = np.nan
    return Candidates(
        ids_N=np.array([f"i{index:03d}" for index in range(size)]),
        place_N2=np.stack([np.zeros(size, int), np.arange(size)], axis=1),
        truth_N=rng.integers(-1, num_classes, size),
        votes_NM=rng.integers(-1, num_classes, (size, 4)).astype(np.int8),
        probs_NK=probs_NK,
    )


def part(images: Candidates, rows: slice) -> Candidates:
    return Candidates(**{name: value[rows] for name, value in vars(images).items()})


@given(
    seed=st.integers(0, 2**32),
    size=st.integers(0, 60),
    cut=st.integers(0, 60),
    num_classes=st.sampled_from([2, 10, 30]),
)
def test_picks_of_groups_are_those_of_the_whole(
    seed: int, size: int, cut: int, num_classes: int
) -> None:
    images = labeled(seed, size, num_classes)
    parts = part(images, slice(cut)), part(images, slice(cut, None))
    for pick in (Candidates.confident, Candidates.contested):
        assert merged(pick(parts[0]), pick(parts[1]), num_classes) == pick(images)


def test_of_a_few_classes_each_is_shown_and_of_many_the_extremes() -> None:
    few, many = labeled(0, 3_000, FEW_CLASSES), labeled(0, 3_000, 100)
    assert [len(own) for own in few.confident().values()] == [PER_CLASS] * FEW_CLASSES
    shown = of_all(many.confident())
    assert len(shown) == OF_ALL
    assert len({pick.label for pick in shown}) == OF_ALL
    assert shown[0].confidence == np.nanmax(many.probs_NK)
    contested = of_all(many.contested())
    assert contested[0].confidence < 0.1
    assert all(len(set(pick.votes) - {-1}) > 1 for pick in contested)


def test_images_are_counted_by_class_the_largest_first() -> None:
    images = {("train", f"c{index}"): index + 1 for index in range(50)}
    images |= {("test", None): 7, ("test", "c0"): 2}
    table = image_table(images)
    assert table.rows[0] == ("all", 1_275, 0, 9, 1_284)
    assert table.rows[1] == ("no truth", 0, 0, 7, 7)
    assert table.rows[2] == ("c49", 50, 0, 0, 50)
    assert table.rest == "and 30 more classes"


def test_tables_that_storage_does_not_give_are_left_for_the_next_run(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove(project, Workspace(project).report)
    with monkeypatch.context() as patched:
        fail(patched, Workspace(project).votes.table.folder + "/00000")
        with pytest.raises(WorkLeft, match=r"^report: 1 of 1 items stayed uncommitted .*SLOW_DOWN"):
            report.run(Workspace(project))
    assert report.run(Workspace(project)).made == 1
