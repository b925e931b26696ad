"""The most uncertain images come first, whatever the number of groups."""

import numpy as np
import pytest

from tests.conftest import Learnable
from wslabel.columns import to_array
from wslabel.errors import ConfigError
from wslabel.experiments.next_images import next_images
from wslabel.workspace.reading import read
from wslabel.workspace.workspace import Workspace


@pytest.fixture(scope="module")
def workspace(learnable: Learnable) -> Workspace:
    return Workspace(learnable.load(name="next"))


def test_the_least_confident_labels_come_first(workspace: Workspace) -> None:
    images = next_images(workspace, {"kind": "least_confidence"}, table="labels", count=7)
    labels = read(workspace, "labels")
    confidence = to_array(labels.column("probabilities")).max(axis=1)
    ids = labels.column("image_id").to_pylist()
    lowest = np.sort(confidence[~np.isnan(confidence)])[:7]
    assert [image.confidence for image in images] == pytest.approx(lowest.tolist())
    assert all(confidence[ids.index(i.image_id)] == pytest.approx(i.confidence) for i in images)
    assert len({image.image_id for image in images}) == 7


def test_more_than_there_are_gives_all_that_have_a_label(workspace: Workspace) -> None:
    images = next_images(workspace, {"kind": "margin"}, table="labels", count=1000)
    assert len(images) == 60 - read(workspace, "labels").column("probabilities").null_count


@pytest.mark.parametrize(
    ("settings", "table", "sentence"),
    [
        ({"kind": "margn"}, "labels", "did you mean 'margin'"),
        ({"kind": "margin"}, "label", "did you mean 'labels'"),
        ({"kind": "margin"}, "predictions/soft", "no table of labels or predictions"),
    ],
)
def test_what_is_not_there_is_refused(
    workspace: Workspace, settings: dict[str, str], table: str, sentence: str
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        next_images(workspace, settings, table=table, count=1)
