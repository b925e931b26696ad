"""The label model learns from the train split alone and labels every image that has a vote."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.conftest import Learnable
from tests.storage.failing import fail
from wslabel.columns import to_array
from wslabel.errors import WorkLeft
from wslabel.label_model import majority
from wslabel.label_model.summary import merge, summarize
from wslabel.stages import label, vote
from wslabel.stages.label import SummarizeStep
from wslabel.workspace.images import read_images, votes_matrix
from wslabel.workspace.workspace import Workspace


def workspace(learnable: Learnable, **sections: Any) -> Workspace:
    return Workspace(learnable.load(name="labeled", **sections))


def votes_and_splits(workspace: Workspace) -> tuple[np.ndarray, np.ndarray]:
    (item,) = workspace.votes.items
    splits = read_images(workspace.location, item.shards, ["split"]).column("split").to_numpy()
    return votes_matrix(workspace.votes.table.read(item.name)), splits


def labels_of(workspace: Workspace) -> pa.Table:
    (item,) = workspace.labels.items
    return workspace.labels.table.read(item.name)


def test_votes_of_the_train_split_are_counted(learnable: Learnable) -> None:
    made = workspace(learnable)
    (item,) = made.votes.items
    result = SummarizeStep(location=made.location, votes=made.votes.table.folder, num_classes=2)(
        item
    )
    votes_NM, splits = votes_and_splits(made)
    expected = summarize(votes_NM[splits == "train"], 2)
    assert result.num_images == 60
    assert result.value.num_images == expected.num_images < 60
    assert np.array_equal(result.value.cooccurrence, expected.cooccurrence)
    assert merge(result.value, expected).num_images == 2 * expected.num_images


def test_labels_are_those_of_a_fit_on_the_train_split(learnable: Learnable) -> None:
    settings = {"epochs": 53}
    made = workspace(learnable, label_model=settings)
    result = label.run(made)
    assert (result.made, result.total, result.num_images) == (1, 1, 60)
    votes_NM, splits = votes_and_splits(made)
    fitted = made.project.label_model.fit(summarize(votes_NM[splits == "train"], 2), 2)
    assert made.fitted is not None
    assert made.fitted.to_json() == fitted.to_json()
    probs_NK = to_array(labels_of(made).column("probabilities"))
    expected_NK = fitted.probabilities(votes_NM).astype(np.float32)
    assert np.array_equal(probs_NK, expected_NK, equal_nan=True)
    assert label.run(workspace(learnable, label_model=settings)).made == 0


def test_the_majority_vote_stands_beside_and_as_a_label_model_keeps_no_fit(
    learnable: Learnable,
) -> None:
    made = workspace(learnable, label_model={"kind": "majority"})
    assert label.run(made).made == 1
    assert made.fitted is None
    votes_NM, _ = votes_and_splits(made)
    expected_NK = majority.apply(votes_NM, 2).astype(np.float32)
    labels = labels_of(made)
    for column in ("probabilities", "majority_probabilities"):
        assert np.array_equal(to_array(labels.column(column)), expected_NK, equal_nan=True)
    assert labels.column("label").equals(labels.column("majority_label"))


def test_an_image_without_votes_keeps_its_row_and_has_no_label(learnable: Learnable) -> None:
    functions = [
        section | {"votes": {"red": "sea"}} for section in learnable.config["labeling_functions"]
    ]
    vote.run(workspace(learnable, labeling_functions=functions))
    made = workspace(learnable, labeling_functions=functions)
    assert label.run(made).made == 1
    votes_NM, _ = votes_and_splits(made)
    silent_N = (votes_NM == -1).all(axis=1)
    assert silent_N.any()
    labels = labels_of(made)
    assert labels.num_rows == 60
    for column in ("probabilities", "label", "majority_probabilities", "majority_label"):
        is_null_N = np.asarray(labels.column(column).is_null())
        assert is_null_N[silent_N].all()


def test_without_votes_there_are_no_labels(learnable: Learnable) -> None:
    functions = [*learnable.config["labeling_functions"]]
    functions[0] = functions[0] | {"votes": {"blue": "jungle"}}
    with pytest.raises(WorkLeft, match="1 of 1 groups of votes are missing"):
        label.run(workspace(learnable, labeling_functions=functions))


def test_votes_that_storage_does_not_give_are_left_for_the_next_run(
    learnable: Learnable, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"epochs": 59}
    made = workspace(learnable, label_model=settings)
    (item,) = made.votes.items
    with monkeypatch.context() as patched:
        fail(patched, f"{made.votes.table.folder}/{item.name}")
        with pytest.raises(
            WorkLeft, match=r"summarize: 1 of 1 items stayed uncommitted .*SLOW_DOWN.*again"
        ):
            label.run(made)
    assert made.fitted is None
    assert label.run(workspace(learnable, label_model=settings)).made == 1
