"""Columns of the manifest, votes as a matrix, truth as ids."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from tests.small import small_project
from wslabel import schema
from wslabel.stages import ingest
from wslabel.workspace.images import class_ids, read_images, votes_matrix
from wslabel.workspace.workspace import Workspace


def test_some_shards_of_the_manifest_are_read_in_their_order(scenes: Path, tmp_path: Path) -> None:
    project = small_project(tmp_path, scenes)
    ingest.run(Workspace(project))
    location = Workspace(project).location
    whole = read_images(location, range(8), ["image_id", "truth"])
    assert (whole.num_rows, whole.column_names) == (60, ["image_id", "truth"])
    part = read_images(location, [7, 0], ["image_id"]).column("image_id").to_pylist()
    ids = whole.column("image_id").to_pylist()
    assert part == ids[56:] + ids[:8]


def test_votes_are_a_matrix_in_the_order_of_the_functions() -> None:
    votes = {"image_id": ["a", "b"], "mean": [-1, 1], "blue": [0, -1]}
    table = pa.table(votes, schema=schema.votes(["mean", "blue"]))
    votes_NM = votes_matrix(table)
    assert votes_NM.dtype == np.int8
    assert votes_NM.tolist() == [[-1, 0], [1, -1]]


def test_a_truth_that_is_unknown_has_no_id() -> None:
    names = pa.chunked_array([["sea", None], ["city", "jungle"]])
    assert class_ids(names, ("jungle", "sea")).tolist() == [1, -1, -1, 0]
