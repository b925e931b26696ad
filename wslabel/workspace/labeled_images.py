"""What labels or predictions say of all images, group by group."""

from collections.abc import Iterator

import numpy as np

from wslabel.columns import to_array
from wslabel.errors import ConfigError, WorkLeft, nearest
from wslabel.exports.exporter import LabeledImages
from wslabel.uri import shown
from wslabel.workspace.groups import GroupTable
from wslabel.workspace.images import read_images
from wslabel.workspace.reading import table_names
from wslabel.workspace.requirements import require_features
from wslabel.workspace.workspace import Workspace


def labeled_groups(workspace: Workspace, table: str) -> Iterator[LabeledImages]:
    """Go through the groups of a table with probabilities.

    Args:
        workspace: Tables of the project.
        table: labels or predictions/NETWORK.

    Raises:
        ConfigError: There is no such table.
        WorkLeft: It is not made yet, or not whole.
    """
    derived = _derived(workspace, table)
    if derived.missing:
        raise WorkLeft(
            f"{len(derived.missing)} of {len(derived.items)} files of {table} are missing; "
            "wslabel run makes them"
        )
    for group in derived.items:
        images = read_images(workspace.location, group.shards, ["image_id", "uri", "split"])
        rows = derived.table.read(group.name, ["probabilities", "label"])
        yield LabeledImages(
            image_ids=images.column("image_id").to_numpy(),
            uris=np.array([shown(uri) for uri in images.column("uri").to_pylist()], object),
            splits=images.column("split").to_numpy(),
            labels=to_array(rows.column("label")),
            probs_NK=to_array(rows.column("probabilities")),
        )


def _derived(workspace: Workspace, table: str) -> GroupTable:
    names = [n for n in table_names(workspace) if n == "labels" or n.startswith("predictions/")]
    if table not in names:
        raise ConfigError(
            f"there is no table of labels or predictions '{table}'; {nearest(table, names)}"
        )
    require_features(workspace)
    if table == "labels":
        return workspace.labels
    return workspace.predictions(workspace.networks[table.partition("/")[2]])
