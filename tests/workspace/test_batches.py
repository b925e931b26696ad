"""Columns are read by their names; the rows of all of them are the same images."""

import numpy as np
import pytest

from tests.conftest import Learnable
from wslabel.errors import StorageError
from wslabel.storage.table import shard_name
from wslabel.workspace.batches import BatchReader, batch_reader, read_shards
from wslabel.workspace.groups import group_items
from wslabel.workspace.workspace import Workspace

COLUMN = "color.mean_red"


@pytest.fixture(scope="module")
def workspace(learnable: Learnable) -> Workspace:
    return Workspace(learnable.load(name="batches"))


def test_columns_of_features_and_of_images_have_their_names(workspace: Workspace) -> None:
    reader = batch_reader(workspace, ["net.embedding", "uri", COLUMN])
    known = {name: workspace.generations[name][0] for name in ("net", "color")}
    batch = reader.read(0, known)
    assert sorted(batch) == [COLUMN, "image_id", "net.embedding", "uri"]
    images = workspace.images.read(shard_name(0))
    assert batch["image_id"].tolist() == images.column("image_id").to_pylist()
    assert batch["uri"].tolist() == images.column("uri").to_pylist()
    assert len(batch["net.embedding"]) == images.num_rows


def test_without_columns_there_are_the_images_alone(workspace: Workspace) -> None:
    assert list(batch_reader(workspace, []).read(0, {})) == ["image_id"]


def test_a_group_is_read_shard_by_shard(workspace: Workspace) -> None:
    (group,) = group_items(workspace.shards, {"color": workspace.generations["color"]})
    shards = read_shards(batch_reader(workspace, [COLUMN]), group)
    assert [len(shard["image_id"]) for shard in shards] == [8] * 7 + [4]
    ids = np.concatenate([shard["image_id"] for shard in shards])
    assert len(set(ids.tolist())) == 60


def test_tables_of_other_images_are_refused(workspace: Workspace) -> None:
    """Shard 7 has four images, shard 0 eight: a file that was mixed up would vote for others."""
    color = workspace.extractors["color"].folder
    mixed = workspace.location.read(f"{color}/{shard_name(7, 0)}")
    workspace.location.create(f"mixed/{shard_name(0, 0)}", mixed)
    reader = BatchReader(
        location=workspace.location, columns=["uri", COLUMN], folders={"color": "mixed"}
    )
    with pytest.raises(
        StorageError, match=r"mixed/00000.parquet: is of other images than images/00000.parquet"
    ):
        reader.read(0, {"color": 0})
