"""What there is of a project is counted from files alone, and nothing is made by asking."""

from pathlib import Path

from tests.conftest import LINEAR, Learnable, Networks
from tests.small import small_project
from wslabel.stages import ingest
from wslabel.workspace.status import NO_NAME, TableStatus, status
from wslabel.workspace.workspace import Workspace


def test_before_a_run_there_are_no_images(scenes: Path, tmp_path: Path) -> None:
    project = small_project(tmp_path, scenes)
    assert status(project) == [
        TableStatus(table="images", folder="images", done=0, missing=0, rows=0)
    ]
    assert not (tmp_path / "ws").exists()


def test_after_ingest_features_are_missing_and_later_tables_are_not_yet_asked_for(
    scenes: Path, tmp_path: Path
) -> None:
    project = small_project(tmp_path, scenes)
    ingest.run(Workspace(project))
    images, color = status(project)
    assert images == TableStatus(table="images", folder="images", done=8, missing=0, rows=60)
    assert (color.table, color.done, color.missing, color.rows) == ("features/color", 0, 8, 0)
    assert color.folder == Workspace(project).extractors["color"].folder


def test_a_network_that_was_never_looked_at_has_no_table_yet(
    scenes: Path, tmp_path: Path, networks: Networks
) -> None:
    categories = {"file": str(networks.categories)}
    features = {"net": networks.net(categories=categories, precision="float32")}
    project = small_project(tmp_path, scenes, features=features, labeling_functions=[])
    ingest.run(Workspace(project))
    net = status(project)[1]
    assert net == TableStatus(table="features/net", folder=NO_NAME, done=0, missing=8, rows=0)
    assert [path.stem for path in (tmp_path / "ws" / "constants").iterdir()] == ["store"]


def test_all_tables_are_counted_in_the_order_of_the_story(learnable: Learnable) -> None:
    project = learnable.load(name="counted", training=LINEAR | {"labels": "soft", "seed": 77})
    tables = status(project)
    assert [table.table for table in tables] == [
        "images",
        "features/color",
        "features/thumbnail",
        "features/net",
        "votes",
        "labels",
        "predictions/soft",
    ]
    *there, predictions = tables
    assert {(table.missing, table.rows) for table in there} == {(0, 60)}
    assert (predictions.done, predictions.missing, predictions.rows) == (0, 1, 0)
