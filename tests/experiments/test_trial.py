"""A labeling function on trial says what it would say in the project, beside the others."""

from typing import Any

import numpy as np
import pytest

from tests.conftest import BLUE_GREEN, Learnable
from wslabel.errors import ConfigError
from wslabel.experiments.trial import try_config
from wslabel.stages import vote
from wslabel.storage.table import shard_name
from wslabel.workspace.reading import read
from wslabel.workspace.workspace import Workspace

MEAN = {"name": "trial", "kind": "color", "statistic": "mean", "votes": BLUE_GREEN}


@pytest.fixture(scope="module")
def workspace(learnable: Learnable) -> Workspace:
    return Workspace(learnable.load(name="trial"))


def test_votes_are_those_of_the_same_function_in_the_project(workspace: Workspace) -> None:
    trial = try_config(workspace, MEAN)
    votes = read(workspace, "votes", ["image_id", "mean"])
    assert trial.votes.tolist() == votes.column("mean").to_pylist()
    assert trial.image_ids.tolist() == votes.column("image_id").to_pylist()
    assert trial.votes.dtype == np.int8


def test_figures_are_over_the_functions_of_the_project_and_truth(workspace: Workspace) -> None:
    trial = try_config(workspace, MEAN | {"votes": {"blue": "jungle"}})  # wrong on purpose
    others = np.stack(
        [read(workspace, "votes").column(n).to_numpy() for n in ("mean", "pixel", "blue")]
    )
    voted, other_voted = trial.votes >= 0, (others >= 0).any(axis=0)
    conflicts = voted & ((others >= 0) & (others != trial.votes)).any(axis=0)
    assert trial.coverage == voted.mean()
    assert trial.overlaps == (voted & other_voted).mean()
    assert trial.conflicts == conflicts.mean() > 0
    assert trial.classes == ("jungle",)
    assert trial.correct is not None
    assert trial.incorrect is not None
    assert trial.accuracy == pytest.approx(trial.correct / (trial.correct + trial.incorrect))


def test_a_project_without_functions_has_none_to_overlap_with(learnable: Learnable) -> None:
    alone = learnable.load(name="alone", labeling_functions=[], label_model={"kind": "majority"})
    trial = try_config(Workspace(alone), MEAN)
    assert trial.coverage > 0
    assert trial.overlaps == trial.conflicts == 0


def test_a_function_of_the_project_is_not_beside_itself(learnable: Learnable) -> None:
    only = Workspace(
        learnable.load(name="only", labeling_functions=[MEAN], label_model={"kind": "majority"})
    )
    vote.run(only)
    trial = try_config(only, MEAN)
    assert trial.coverage > 0
    assert trial.overlaps == trial.conflicts == 0


def test_trying_leaves_the_votes_alone(workspace: Workspace) -> None:
    before = workspace.location.files("votes", recursive=True)
    try_config(workspace, MEAN | {"votes": {"green": "sea"}})
    assert workspace.location.files("votes", recursive=True) == before
    assert shard_name(0) in workspace.images.names()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"kind": "colour"}, "unknown kind 'colour'; did you mean 'color'"),
        ({"statistic": "median"}, "'mean' or 'pixel'"),
        ({"votes": {"green": "jungel"}}, "unknown class 'jungel'; did you mean 'jungle'"),
        ({"feature": "colr"}, "no color feature named 'colr'; did you mean 'color'"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(
    workspace: Workspace, settings: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        try_config(workspace, MEAN | settings)
