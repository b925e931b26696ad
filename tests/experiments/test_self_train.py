"""Rounds correct labels, end when validation gets no better, and are found again."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from tests.conftest import LINEAR, Learnable
from tests.storage.failing import fail
from wslabel.columns import to_array
from wslabel.errors import ConfigError, WorkLeft
from wslabel.experiments.compare import compare
from wslabel.experiments.learner import Learner
from wslabel.experiments.self_train import self_train
from wslabel.workspace.workspace import Workspace


def test_rounds_correct_labels_and_end_when_validation_gets_no_better(
    learnable: Learnable,
) -> None:
    training = LINEAR | {"labels": ["soft"], "validate_on": "weak", "learning_rate": 0.05}
    again = {"folds": 3, "rounds": 4, "threshold": 0.55, "quota": 0.8, "given_weight": 0.25}
    project = learnable.load(name="again", training=training, self_training=again)
    result = self_train(project)
    rounds, best = result.rounds.rounds, result.rounds.best
    scores = [own.score for own in rounds]
    assert best == scores.index(max(scores))
    assert len(rounds) == 5 or len(rounds) == best + 2
    assert len(rounds) >= 2
    assert rounds[0].labels is None
    assert rounds[1].labels.chosen > 0
    assert result.made == 4 * (len(rounds) - 1) + (4 if len(rounds) < 5 else 1)
    corrected(project, again)
    for stage, quota in (("choose", 0.8), ("correct", 1.0)):
        left_for_the_next_run(learnable, training, again | {"quota": quota}, stage)
    again_ = self_train(project)
    assert again_.made == 0
    assert again_.rounds == result.rounds
    assert "test accuracy" in Path(result.page).read_text()


def left_for_the_next_run(
    learnable: Learnable, training: dict[str, Any], how: dict[str, Any], stage: str
) -> None:
    """See that labels that storage does not give are left; weighed anew they are to be made."""
    project = learnable.load(
        name="again", training=training, self_training=how | {"given_weight": 0.5}
    )
    workspace = Workspace(project)
    learner = Learner(workspace, project.training.variant("soft"))
    judges = learner.judges(0, workspace.labels)
    for judge in judges:
        assert not workspace.predictions(judge).missing
    with pytest.MonkeyPatch.context() as patched:
        fail(patched, f"{workspace.labels.table.folder}/00000")
        with pytest.raises(WorkLeft, match=rf"^{stage}: 1 of 1 items stayed uncommitted"):
            learner.corrected(workspace.labels, judges)
    made, _ = learner.corrected(workspace.labels, judges)
    assert not made.missing


def test_without_any_truth_nothing_is_called_right_or_wrong(
    learnable: Learnable, tmp_path: Path
) -> None:
    shutil.copytree(learnable.folder / "ws", tmp_path / "ws", ignore=lambda *_: ["models"])
    for path in (tmp_path / "ws" / "images").glob("*.parquet"):
        images = pa.parquet.read_table(path)
        index = images.schema.get_field_index("truth")
        nothing = pa.nulls(len(images), pa.string())
        pa.parquet.write_table(images.set_column(index, "truth", nothing), path)
    training = LINEAR | {"labels": ["soft", "hard"], "validate_on": "weak"}
    more = {"self_training": {"folds": 2, "rounds": 1, "threshold": 0.55}, "comparison": {}}
    project = learnable.load(
        name="truthless", workspace=str(tmp_path / "ws"), training=training, **more
    )
    with pytest.raises(ConfigError, match="no image of the test split has one of the classes as"):
        compare(project)
    result = self_train(project)
    assert [own.test["accuracy"] for own in result.rounds.rounds] == [None, None]
    assert "test accuracy of round" in Path(result.page).read_text()


def corrected(project: Any, how: dict[str, Any]) -> None:
    """Check the labels of the first round against their ingredients."""
    workspace = Workspace(project)
    given_NK = to_array(workspace.labels.table.read(workspace.labels.items[0].name).column(1))
    splits = [
        workspace.images.read(f"{s:05d}.parquet", ["split"]).column(0) for s in workspace.shards
    ]
    train = np.concatenate([s.to_numpy() for s in splits]) == "train"
    learner = Learner(workspace, project.training.variant("soft"))
    made, _ = learner.corrected(workspace.labels, learner.judges(0, workspace.labels))
    assert not made.missing
    rows = made.table.read(made.items[0].name)
    chosen = rows.column("is_chosen").to_numpy()
    label_NK, predicted_NK = (to_array(rows.column(c)) for c in ("probabilities", "predicted"))
    assert not chosen[~train].any()
    assert (predicted_NK[chosen].max(axis=1) >= how["threshold"]).all()
    w = how["given_weight"]
    mixed = w * given_NK + (1 - w) * predicted_NK
    mixed = np.where(np.isnan(given_NK), predicted_NK, mixed)
    assert np.allclose(label_NK[chosen], mixed[chosen], atol=1e-6)
    assert np.array_equal(label_NK[~chosen], given_NK[~chosen], equal_nan=True)


def test_without_its_section_there_is_no_self_training(learnable: Learnable) -> None:
    with pytest.raises(ConfigError, match="self_training: this section is missing"):
        self_train(learnable.load(name="none", training=LINEAR))
