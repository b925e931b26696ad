"""Labels come with the images that they are of, group by group."""

import numpy as np
import pytest

from tests.conftest import Learnable
from wslabel.errors import ConfigError
from wslabel.workspace.labeled_images import labeled_groups
from wslabel.workspace.reading import read
from wslabel.workspace.workspace import Workspace


def test_groups_put_together_are_the_tables(learnable: Learnable) -> None:
    workspace = Workspace(learnable.load(name="labeled"))
    groups = list(labeled_groups(workspace, "labels"))
    images, labels = read(workspace, "images"), read(workspace, "labels")
    for name in ("image_id", "uri", "split"):
        found = np.concatenate([getattr(group, f"{name}s") for group in groups])
        assert found.tolist() == images.column(name).to_pylist()
    found = np.concatenate([group.labels for group in groups])
    assert found.tolist() == labels.column("label").fill_null(-1).to_pylist()


def test_only_tables_with_probabilities_are_taken(learnable: Learnable) -> None:
    workspace = Workspace(learnable.load(name="labeled"))
    with pytest.raises(ConfigError, match="'votes'; valid: 'labels'"):
        list(labeled_groups(workspace, "votes"))
