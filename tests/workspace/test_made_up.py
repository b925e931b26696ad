"""Made-up images look like real ones to a labeling function: columns, types, gaps."""

from pathlib import Path

import numpy as np

from tests.conftest import Networks
from tests.small import feature, made, small_project
from wslabel.features.decode import decode
from wslabel.stages import ingest
from wslabel.workspace.batches import batch_reader
from wslabel.workspace.made_up import IDS, made_up_batch
from wslabel.workspace.workspace import Workspace


def test_made_up_columns_are_as_those_that_are_made_later(
    photos: Path, tmp_path: Path, networks: Networks, cluster: None
) -> None:
    net = networks.net(categories=[*"abcde"], top_k=3, embedding=True, precision="float32")
    clip = networks.clip(precision="float32")
    features = {"color": None, "thumbnail": {"size": 16}, "net": net, "clip": clip}
    project = small_project(tmp_path, photos, features=features, labeling_functions=[])
    ingest.run(Workspace(project))
    workspace = Workspace(project)
    columns = [f"{n}.{c}" for n, e in workspace.extractors.items() for c in e.columns.names]
    batch = made_up_batch(workspace, columns)
    first = workspace.images.read("00000.parquet").column("uri")[0].as_py()
    Path(first).write_bytes(b"no image")
    made(project, until="featurize")
    assert feature(project).column("error").drop_null().length() == 1
    workspace = Workspace(project)
    known = {name: workspace.generations[name][0] for name in features}
    real = batch_reader(workspace, columns).read(0, known)
    assert set(batch) == set(real)
    for name, column in real.items():
        assert batch[name].dtype == column.dtype, name
        assert batch[name].shape == (len(IDS), *column.shape[1:]), name
        if name != "image_id":
            np.testing.assert_array_equal(batch[name][-1], column[0])
    assert (np.sort(batch["net.category_ids"][0]) == np.arange(3)).all()
    assert 0 < batch["net.category_probabilities"][0].sum() < 1.001
    assert abs(np.linalg.norm(batch["clip.embedding"][0].astype(float)) - 1.0) < 1e-2
    assert decode(batch["thumbnail.jpeg"][0], 10**6).pixels_HW3.shape[0] == 16


def test_metadata_are_those_of_the_first_images(scenes: Path, tmp_path: Path) -> None:
    images = {"source": "generated", "path": str(tmp_path / "drawn"), "count": 2}
    project = small_project(tmp_path, scenes, images=images)
    ingest.run(Workspace(project))
    workspace = Workspace(project)
    titles = workspace.images.read("00000.parquet").column("title").to_pylist()
    batch = made_up_batch(workspace, ["title", "color.mean_red"])
    assert batch["title"].tolist() == titles * 2
    assert batch["image_id"].tolist() == list(IDS)
    assert np.isnan(batch["color.mean_red"]).tolist() == [False, False, False, True]
