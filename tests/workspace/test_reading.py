"""A table is read whole, in the order of the manifest, or refused."""

from pathlib import Path

import pytest

from tests.conftest import Learnable, tiny_config, write_config
from wslabel.errors import ConfigError, SourceError, WorkLeft
from wslabel.project.loading import load
from wslabel.workspace.reading import read, table_names
from wslabel.workspace.workspace import Workspace


def test_rows_of_all_tables_are_the_same_images(learnable: Learnable) -> None:
    workspace = Workspace(learnable.load(name="rows"))
    names = table_names(workspace)
    assert names == [
        "images",
        "features/color",
        "features/thumbnail",
        "features/net",
        "votes",
        "labels",
    ]
    ids = read(workspace, "images", ["image_id"]).column("image_id").to_pylist()
    assert len(ids) == len(set(ids)) == 60
    for name in names:
        assert read(workspace, name, ["image_id"]).column("image_id").to_pylist() == ids


def test_what_is_not_there_is_refused_by_the_nearest_name(learnable: Learnable) -> None:
    workspace = Workspace(learnable.load(name="refused"))
    with pytest.raises(ConfigError, match="no table 'vote'; did you mean 'votes'"):
        read(workspace, "vote")
    with pytest.raises(ConfigError, match="no column 'imageid'; did you mean 'image_id'"):
        read(workspace, "labels", ["imageid"])


def test_what_is_not_made_yet_says_what_makes_it(scenes: Path, tmp_path: Path) -> None:
    workspace = Workspace(load(write_config(tmp_path / "p.yaml", tiny_config(scenes))))
    with pytest.raises(SourceError, match="no images yet; wslabel run ingests them"):
        read(workspace, "images")


def test_a_table_with_a_missing_file_is_not_given_in_part(learnable: Learnable) -> None:
    functions = learnable.config["labeling_functions"][:2]
    changed = learnable.load(
        name="missing", labeling_functions=functions, label_model={"kind": "majority"}
    )
    with pytest.raises(WorkLeft, match="run the stage vote first"):
        read(Workspace(changed), "labels")
