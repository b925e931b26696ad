"""A precision is measured on images of the project; where none can be read, that is said."""

from pathlib import Path

import pytest

from tests.conftest import Networks
from tests.small import small_project
from wslabel.errors import TooManyErrors
from wslabel.project.project import Project
from wslabel.stages import ingest
from wslabel.stages.featurize.featurize import featurize_step
from wslabel.stages.featurize.precision import measure
from wslabel.workspace.workspace import Workspace


def with_open_precision(folder: Path, photos: Path, networks: Networks) -> Project:
    features = {"net": networks.net(top_k=0, embedding=True), "color": None}
    project = small_project(folder, photos, features=features, labeling_functions=[])
    ingest.run(Workspace(project))
    return project


def measured(project: Project) -> dict[str, str]:
    workspace = Workspace(project)
    net = workspace.extractors["net"]
    assert net.is_open
    return measure(featurize_step(workspace), [net], shard=0)


def test_each_network_gets_a_precision(photos: Path, tmp_path: Path, networks: Networks) -> None:
    project = with_open_precision(tmp_path, photos, networks)
    for path in sorted(photos.rglob("*.jpg"))[::3]:
        path.write_bytes(b"no image")
    precisions = measured(project)
    assert list(precisions) == ["net"]
    assert precisions["net"] in ("float32", "bfloat16", "float16")


def test_images_that_cannot_be_read_measure_nothing(
    photos: Path, tmp_path: Path, networks: Networks
) -> None:
    project = with_open_precision(tmp_path, photos, networks)
    for path in photos.rglob("*.jpg"):
        path.write_bytes(b"no image")
    with pytest.raises(TooManyErrors, match="none of the first 8 images of shard 0 can be decoded"):
        measured(project)
