"""Columns are read by their names; the rows of all of them are the same images."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.conftest import Learnable
from wslabel.errors import ConfigError, StorageError
from wslabel.labeling.applier import LFApplier
from wslabel.labeling.pattern import PatternLF
from wslabel.project.loading import build
from wslabel.project.project import Project
from wslabel.schema import RESERVED
from wslabel.stages import ingest
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


PARTS = st.sampled_from(
    ["exif", "color", "net.v2", "mean_red", "make", "", " ", "é", "日本", "a/b"]
)
NAMES = st.one_of(
    st.lists(PARTS, min_size=1, max_size=3).map(".".join),
    st.text(st.characters(codec="utf-8"), max_size=6),
).filter(lambda name: name not in RESERVED)
FEATURES = {"color": {"kind": "color"}, "net.v2": {"kind": "color"}}
TEXTS = ["a beach", "b", None]


def titled(folder: Path, names: list[str], features: dict[str, dict[str, str]]) -> Project:
    """A project over a table whose metadata have some names; of three images that no one reads."""
    texts = {name: TEXTS[i % 3 :] + TEXTS[: i % 3] for i, name in enumerate(names)}
    pq.write_table(pa.table({"uri": ["/1", "/2", "/3"]} | texts), folder / "list.parquet")
    images = {"source": "table", "path": "list.parquet", "metadata": names}
    config = {"workspace": "ws", "classes": ["jungle", "sea"], "images": images}
    return build(folder / "p.yaml", config | {"features": features})


@settings(deadline=None, max_examples=60)
@given(st.lists(NAMES, min_size=1, max_size=4, unique=True))
@example(["exif.make"])
@example(["exif", "exif.make", "exif.make.year"])
@example(["", "."])
def test_a_metadata_column_may_have_any_name_that_no_feature_has(names: list[str]) -> None:
    with TemporaryDirectory() as folder:
        taken = [n for n in names if n.rpartition(".")[0] in FEATURES and "." in n]
        if taken:
            with pytest.raises(ConfigError, match=r"would be taken for a column of the feature"):
                titled(Path(folder), names, FEATURES)
            return
        project = titled(Path(folder), names, FEATURES)
        ingest.run(Workspace(project))
        batch = batch_reader(Workspace(project), names).read(0, {})
        assert set(batch) == {"image_id", *names}
        rows = [int(image_id[1]) - 1 for image_id in batch["image_id"]]
        for index, name in enumerate(names):
            texts = TEXTS[index % 3 :] + TEXTS[: index % 3]
            assert batch[name].tolist() == [texts[row] for row in rows]
            lf = PatternLF(name="lf", column=name, pattern="beach", vote=1)
            votes = LFApplier([lf], 2)(batch)[:, 0]
            assert votes.tolist() == [1 if texts[row] == "a beach" else -1 for row in rows]
