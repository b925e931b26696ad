"""The small finished workspace that version 0.1 made, to do the last stages of anew."""

import shutil
import tarfile
from pathlib import Path

from wslabel.project.loading import load
from wslabel.project.project import Project
from wslabel.workspace.workspace import Workspace

OLD = Path(__file__).parents[1] / "old_workspace"
DEMO = Path(__file__).parents[2] / "configs" / "demo"


def finished(folder: Path) -> Project:
    """Lay the workspace out in a folder."""
    place = folder / "tests" / "old"
    place.mkdir(parents=True)
    shutil.copytree(DEMO, folder / "configs" / "demo")
    for name in ("project.yaml", "lfs.py"):
        shutil.copy(OLD / name, place)
    with tarfile.open(OLD / "workspace.tar.gz") as tar:
        tar.extractall(place, filter="data")
    return load(place / "project.yaml")


def remove(project: Project, name: str) -> None:
    """Remove a file of the workspace."""
    Workspace(project).location.delete(name)
