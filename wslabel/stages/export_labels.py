"""Export labels: what labels or predictions say of all images, as one file for other tools."""

from pathlib import Path

from wslabel.errors import ConfigError
from wslabel.exports.exporter import ExportConfig
from wslabel.workspace.labeled_images import labeled_groups
from wslabel.workspace.workspace import Workspace


def export_labels(
    workspace: Workspace, settings: ExportConfig, table: str, output: Path | None = None
) -> str:
    """Write labels or predictions as one file.

    Args:
        workspace: Tables of the project.
        settings: How they are written.
        table: labels or predictions/NETWORK.
        output: Folder of the file; None takes the current one.

    Returns:
        Path of the file.

    Raises:
        ConfigError: There is such a file already, or no such table.
        WorkLeft: The table is not made yet, or not whole.
    """
    folder = output or Path()
    path = folder / f"{table.replace('/', '-')}{settings.extension}"
    if path.exists():
        raise ConfigError(f"{path}: there is such a file already; name another folder: --output")
    folder.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.part")
    try:
        with draft.open("wb") as sink:
            settings.write(labeled_groups(workspace, table), workspace.project.classes, sink)
        draft.rename(path)  # so that the file is whole or not there
    finally:
        draft.unlink(missing_ok=True)
    return str(path)
