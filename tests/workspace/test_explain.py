"""Why an image has its label is told with the numbers that stand in the tables."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.conftest import Networks
from tests.small import like, made, on_embeddings
from wslabel.errors import SourceError
from wslabel.workspace.explain import explain
from wslabel.workspace.workspace import Workspace

pytestmark = pytest.mark.usefixtures("cluster")


def test_an_image_is_explained(networks: Networks, embedded: Path) -> None:
    project = on_embeddings(embedded, networks, [like(embedded / "photos", present_above=0.9)])
    made(project, until="label")
    values = explain(Workspace(project), "coast/c00.jpg")
    like_it = values["votes"]["like"]
    assert (values["truth"], like_it["vote"], like_it["above"]) == ("sea", "sea", 0.9)
    assert like_it["score"] == pytest.approx(1.0, abs=0.01)
    # What the votes add makes up the label; this label model takes the classes for equally common.
    odds = sum(vote.get("evidence", 0.0) for vote in values["votes"].values())
    assert 1 / (1 + np.exp(-odds)) == pytest.approx(
        max(values["label"]["probabilities"].values()), abs=1e-3
    )
    assert values["features"]["clip"]["embedding"] == "16 numbers"
    assert values["features"]["thumbnail"]["jpeg"].endswith(" bytes")
    labels = pa.concat_tables(
        [
            Workspace(project).labels.table.read(item.name)
            for item in Workspace(project).labels.items
        ]
    )
    row = labels.column("image_id").to_pylist().index("coast/c00.jpg")
    probabilities = labels.column("probabilities")[row].as_py()
    assert list(values["label"]["probabilities"].values()) == pytest.approx(probabilities, abs=1e-4)
    assert values["features"]["color"]["mean_blue"] > 0
    assert json.loads(json.dumps(values)) == values
    with pytest.raises(SourceError, match=r"no image .* 'coast/c0.jpg'; did you mean 'coast/c.0"):
        explain(Workspace(project), "coast/c0.jpg")
    with pytest.raises(SourceError, match=r"the id 'https://host/a\.jpg'; "):
        explain(Workspace(project), "https://user:secret@host/a.jpg?X-Amz-Signature=secret")
