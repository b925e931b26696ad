"""A stage before its time is told in one sentence what comes first."""

from pathlib import Path

import pytest

from tests.conftest import LINEAR, Learnable
from tests.small import small_project
from wslabel.errors import SourceError, WorkLeft
from wslabel.stages import ingest
from wslabel.workspace.requirements import (
    require_evaluation,
    require_features,
    require_images,
    require_labels,
    require_predictions,
    require_votes,
)
from wslabel.workspace.workspace import Workspace


def test_without_images_nothing_goes(scenes: Path, tmp_path: Path) -> None:
    workspace = Workspace(small_project(tmp_path, scenes))
    for require in (require_images, require_features, require_votes, require_labels):
        with pytest.raises(SourceError, match=r"/ws: no images yet; wslabel run ingests them$"):
            require(workspace)


def test_without_features_nothing_else_goes(scenes: Path, tmp_path: Path) -> None:
    project = small_project(tmp_path, scenes)
    ingest.run(Workspace(project))
    require_images(Workspace(project))
    for require in (require_features, require_votes, require_labels, require_predictions):
        with pytest.raises(WorkLeft, match=r"^8 shards lack features; run the stage featurize fir"):
            require(Workspace(project))


def test_what_is_there_goes_on_and_what_is_missing_is_named(learnable: Learnable) -> None:
    workspace = Workspace(
        learnable.load(name="required", training=LINEAR | {"labels": "soft", "seed": 31})
    )
    require_votes(workspace)
    require_labels(workspace)
    with pytest.raises(WorkLeft, match=r"^1 of 1 groups of predictions of soft are missing; run"):
        require_predictions(workspace)
    with pytest.raises(
        WorkLeft, match=r"^reports/evaluation-.*\.json is missing; run the stage ev"
    ):
        require_evaluation(workspace)


def test_votes_and_labels_of_other_functions_are_missing(learnable: Learnable) -> None:
    functions = [*learnable.config["labeling_functions"]]
    functions[2] = functions[2] | {"votes": {"blue": "jungle"}}
    workspace = Workspace(learnable.load(name="others", labeling_functions=functions))
    with pytest.raises(WorkLeft, match=r"^1 of 1 groups of votes are missing; run the stage vote "):
        require_votes(workspace)
    with pytest.raises(WorkLeft, match=r"^1 of 1 groups of labels are missing; run the stage lab"):
        require_labels(workspace)


def test_without_functions_no_labels_are_needed(learnable: Learnable) -> None:
    require_labels(Workspace(learnable.load(name="unlabeled", labeling_functions=[])))
