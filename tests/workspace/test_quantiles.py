"""A threshold by rank is found once over the images there are, and stays until told otherwise."""

from pathlib import Path

import numpy as np
import pytest

from tests.conftest import Networks, paint, tiny_config
from tests.small import feature, like, made, small_project, votes_of, with_clip
from wslabel.project.project import Project
from wslabel.workspace.status import status
from wslabel.workspace.workspace import Workspace

pytestmark = pytest.mark.usefixtures("cluster")


def cosines_to_example(project: Project) -> np.ndarray:
    """Cosine of each image to the first of them, from the table alone."""
    embeddings = np.stack(feature(project, "clip").column("embedding").to_pylist()).astype(
        np.float32
    )
    ids = feature(project, "clip").column("image_id").to_pylist()
    return embeddings @ embeddings[ids.index("coast/c00.jpg")]


def test_similarity_to_an_example_by_quantile_is_frozen_until_told(
    photos: Path, networks: Networks, tmp_path: Path
) -> None:
    functions = tiny_config(photos)["labeling_functions"]
    functions[2] = like(photos, present_above={"quantile": 0.75}, absent_below={"quantile": 0.25})
    project = small_project(
        tmp_path, photos, features=with_clip(networks), labeling_functions=functions
    )
    made(project, until="featurize")
    before = Workspace(project).location.files("constants")
    folders = {row.table: row.folder for row in status(project)}
    assert folders["votes"] == folders["labels"] == "(not made yet)"
    assert Workspace(project).location.files("constants") == before
    assert made(project, until="vote")["vote"] == 1
    assert status(project)[3].rows == 60
    cosines, votes = cosines_to_example(project), votes_of(project, "like")
    above, below = np.quantile(cosines, [0.75, 0.25])
    clear = (np.abs(cosines - above) > 1e-3) & (np.abs(cosines - below) > 1e-3)
    expected = np.where(cosines > above, 1, np.where(cosines < below, 0, -1))
    assert clear.sum() > 50
    assert votes[clear].tolist() == expected[clear].tolist()

    for index in range(30):
        paint(photos / "forest" / f"new{index}.jpg", "sea", index)
    assert made(project, until="vote")["vote"] == 1
    assert votes_of(project, "like")[: len(votes)].tolist() == votes.tolist()
    assert made(project, until="vote")["vote"] == 0
    assert made(project, until="vote", refresh=True)["vote"] == 1
    above = np.quantile(cosines_to_example(project), 0.75)
    assert abs((votes_of(project, "like") == 1).mean() - 0.25) < 0.02
    assert made(project, until="vote")["vote"] == 0
