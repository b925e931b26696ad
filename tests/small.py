"""Small projects over drawn scenes: make one, run it, read its tables."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tests.conftest import Networks, tiny_config, write_config
from wslabel import pipeline
from wslabel.project.loading import load
from wslabel.project.project import Project
from wslabel.storage.table import shard_name
from wslabel.workspace.workspace import Workspace


def small_project(folder: Path, photos: Path, **sections: Any) -> Project:
    """Make a project without networks over a folder of scenes."""
    return load(write_config(folder / "p.yaml", tiny_config(photos, **sections)))


def made(
    project: Project,
    *,
    until: str | None = None,
    retry: Collection[str] = (),
    refresh: bool = False,
) -> dict[str, int]:
    """Run a project; tell how much each stage made."""
    options = pipeline.Options(frozenset(retry), refresh)
    results = pipeline.run(project, until=until, options=options)
    return {result.stage: result.made for result in results}


def feature(project: Project, name: str = "color") -> pa.Table:
    """Read the whole table of a feature."""
    workspace = Workspace(project)
    table = workspace.extractors[name].table(workspace.location)
    known = workspace.generations[name]
    return pa.concat_tables(table.read(shard_name(s, known[s])) for s in workspace.shards)


def votes_of(project: Project, name: str) -> np.ndarray:
    """Read all votes of a labeling function."""
    votes = Workspace(project).votes
    parts = [votes.table.read(item.name, [name]).column(name) for item in votes.items]
    return np.concatenate([part.to_numpy() for part in parts])


def with_clip(networks: Networks) -> dict[str, Any]:
    """Give a section of features with embeddings."""
    return {"color": None, "clip": networks.clip(precision="float32")}


def on_embeddings(folder: Path, networks: Networks, functions: list[dict[str, Any]]) -> Project:
    """Make a project over the photos and the workspace of the fixture `embedded`."""
    photos = folder / "photos"
    features = with_clip(networks) | {"thumbnail": {"size": 32}}
    usual = tiny_config(photos)["labeling_functions"]
    functions = usual[:2] + (functions or usual[2:])
    return small_project(folder, photos, features=features, labeling_functions=functions)


def like(photos: Path, **more: Any) -> dict[str, Any]:
    """Give a labeling function that goes by an example image."""
    example = {"kind": "similarity", "feature": "clip", "image": str(photos / "coast/c00.jpg")}
    return {"name": "like", "class": "sea"} | example | more
