"""The evaluation is what version 0.1 found, and more; it is made once, from tables alone."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.old_workspace.make import HERE as OLD
from tests.stages.finished import finished, remove
from tests.storage.failing import fail
from wslabel.columns import to_array
from wslabel.errors import WorkLeft
from wslabel.metrics import roc_auc
from wslabel.project.project import Project
from wslabel.report.as_json import as_json
from wslabel.stages import evaluate
from wslabel.workspace.evaluation_files import evaluation_files, read_path
from wslabel.workspace.images import class_ids, read_images
from wslabel.workspace.workspace import Workspace

NEW = {"macro_f1", "roc_auc", "calibration_error", "negative_log_likelihood"}
"""What version 0.1 measured of networks, and not of labels."""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return finished(tmp_path)


def stored(project: Project) -> dict[str, Any]:
    data: dict[str, Any] = Workspace(project).read_json(Workspace(project).evaluation)
    return data


def test_an_evaluation_that_is_there_is_read(project: Project) -> None:
    result = evaluate.run(Workspace(project))
    assert (result.stage, result.made, result.total) == ("evaluate", 0, 1)
    assert json.loads(json.dumps(result.evaluation.to_json())) == stored(project)


def test_it_finds_again_what_was_found(project: Project) -> None:
    before = stored(project)
    remove(project, Workspace(project).evaluation)
    assert evaluate.run(Workspace(project)).made == 1
    assert_close(stored(project), before)
    assert evaluate.run(Workspace(project)).made == 0


def test_votes_and_labels_are_as_good_as_version_0_1_found(project: Project) -> None:
    """Their tables were made anew since, under other names, and their networks trained anew."""
    old, new = json.loads((OLD / "evaluation-0.1.json").read_text()), stored(project)
    for kind in ("label", "majority_label"):
        for split in new[kind].values():
            measured = {name: split.pop(name) for name in NEW}
            assert measured["macro_f1"] == pytest.approx(
                np.mean([score["f1"] for score in split["classes"] if score["support"]])
            )
    for found in (new, old):
        del found["networks"]
    assert_close(new, old)


def assert_close(found: object, expected: object) -> None:
    if isinstance(expected, dict):
        assert isinstance(found, dict)
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            assert_close(found[name], value)
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, abs=1e-6)
    else:
        assert found == expected


def test_labels_have_curves_on_the_test_split_alone(project: Project) -> None:
    remove(project, Workspace(project).evaluation)
    workspace = Workspace(project)
    evaluation = evaluate.run(workspace).evaluation
    (files,) = evaluation_files(workspace)
    images = read_images(workspace.location, files.shards, ["split", "truth"])
    truth_N = class_ids(images.column("truth"), tuple(project.classes))
    tested_N = (images.column("split").to_numpy() == "test") & (truth_N >= 0)
    assert files.labels is not None
    labels = read_path(workspace.location, files.labels, ["majority_probabilities"])
    probs_NK = to_array(labels.column(0))
    tested_N &= ~np.isnan(probs_NK[:, 0])
    found = evaluation.labels["majority_label"]
    assert found["test"].roc_auc == roc_auc(truth_N[tested_N], probs_NK[tested_N])
    assert found["train"].roc_auc is None
    assert found["val"].calibration_error is None


def test_predictions_must_be_there(project: Project) -> None:
    workspace = Workspace(project)
    remove(project, workspace.evaluation)
    (files,) = evaluation_files(workspace)
    remove(project, files.predictions["soft"])
    with pytest.raises(WorkLeft, match="predictions of soft are missing; run the stage predict"):
        evaluate.run(Workspace(project))


def test_what_is_shown_is_what_was_found(project: Project) -> None:
    result = evaluate.run(Workspace(project))
    shown = as_json(result)
    assert shown["stage"] == "evaluate"
    networks = shown["networks"]
    assert isinstance(networks, dict)
    assert {row["network"]: row["accuracy"] for row in networks["overall"]} == {
        name: own.accuracy for name, own in result.evaluation.networks.items()
    }


def test_a_project_of_networks_alone_is_evaluated(project: Project) -> None:
    assert project.training is not None
    training = project.training.model_copy(
        update={"labels": ["original"], "variants": {}, "validate_on": "truth"}
    )
    alone = project.model_copy(
        update={"labeling_functions": [], "training": training, "pretraining": None}
    )
    workspace = Workspace(alone)
    (files,) = evaluation_files(workspace)
    assert files.votes is None
    assert files.labels is None
    assert list(files.predictions) == ["original"]


def test_tables_that_storage_does_not_give_are_left_for_the_next_run(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove(project, Workspace(project).evaluation)
    with monkeypatch.context() as patched:
        fail(patched, Workspace(project).votes.table.folder + "/00000")
        with pytest.raises(
            WorkLeft, match=r"^evaluate: 1 of 1 items stayed uncommitted .*SLOW_DOWN"
        ):
            evaluate.run(Workspace(project))
    assert evaluate.run(Workspace(project)).made == 1
