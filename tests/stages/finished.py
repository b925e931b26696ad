"""The small finished workspace that an earlier version made, to do the last stages of anew."""

from pathlib import Path

from tests.old_workspace.make import extract, lay_out
from wslabel.project.loading import load
from wslabel.project.project import Project
from wslabel.workspace.workspace import Workspace


def finished(folder: Path) -> Project:
    """Lay the workspace out in a folder."""
    place = lay_out(folder)
    extract("workspace.tar.gz", place)
    return load(place / "project.yaml")


def remove(project: Project, name: str) -> None:
    """Remove a file of the workspace."""
    Workspace(project).location.delete(name)
