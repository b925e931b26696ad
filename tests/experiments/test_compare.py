"""Networks are compared on what they have not learned, over seeds and folds."""

from pathlib import Path

import numpy as np
import pytest

from tests.conftest import LINEAR, Learnable
from wslabel import schema
from wslabel.columns import to_array
from wslabel.errors import ConfigError
from wslabel.experiments.compare import compare, splits_of
from wslabel.experiments.folds import by_truth
from wslabel.stages.train.runs import training_run
from wslabel.workspace.shard_reader import FoldPart
from wslabel.workspace.workspace import Workspace


@pytest.mark.parametrize("folds", [None, 3])
def test_networks_are_compared_on_what_they_have_not_learned(
    learnable: Learnable, folds: int | None
) -> None:
    seeds = {"seeds": 2, "folds": folds, "self_training": folds is not None, "reference": "soft"}
    again = {"variant": "soft", "folds": 2, "rounds": 1, "threshold": 0.5}
    variants = {"smooth": {"labels": "soft", "label_smoothing": 0.3}}
    training = LINEAR | {"labels": ["original", "soft"], "variants": variants}
    project = learnable.load(
        name=f"c{folds}", training=training, comparison=seeds, self_training=again
    )
    result = compare(project)
    names = [own.name for own in result.comparison.networks]
    assert names == ["original", "soft", "smooth", *(["self_training"] if folds else [])]
    for own in result.comparison.networks:
        assert own.num_images == (60 if folds else 12)
        assert own.num_seeds == 2
        assert (own.difference is None) == (own.name == "soft")
    again_ = compare(project)
    assert again_.made == 0
    assert again_.comparison == result.comparison
    page = Path(result.page).read_text()
    assert "smooth" in page
    assert "<svg" in page


def test_a_network_judges_exactly_what_was_held_out_of_it(learnable: Learnable) -> None:
    training = LINEAR | {"labels": ["original", "hard"], "epochs": 2}
    project = learnable.load(
        name="held_out_predictions", training=training, comparison={"seeds": 1, "folds": 3}
    )
    accuracy = compare(project).comparison.networks[0].accuracy
    workspace = Workspace(project)
    folds = by_truth(workspace, 3, 0)
    fold_N = to_array(folds.read_group(0, ["fold"]).column("fold"))
    truth = [
        workspace.images.read(f"{s:05d}.parquet", ["truth"]).column(0) for s in workspace.shards
    ]
    truth_N = np.concatenate([t.to_numpy() for t in truth]) == "sea"
    found_N = np.full(60, -1)
    for fold in range(3):
        part = FoldPart(folds, fold, is_held=False)
        settings = project.training.variant("original")
        network = workspace.network("original", settings, parts=(part,), splits=schema.SPLITS)
        derived = workspace.predictions(network)
        probs_NK = to_array(derived.table.read(derived.items[0].name).column("probabilities"))
        said_N = ~np.isnan(probs_NK[:, 0])
        assert np.array_equal(said_N, fold_N == fold)
        found_N[said_N] = probs_NK[said_N].argmax(axis=1)
        # What it learned from are all others.
        examples = training_run(workspace, network).train
        assert sum(batch.count for batch in examples(0, 0, 1)) == (fold_N != fold).sum()
    assert (found_N == truth_N).mean() == pytest.approx(accuracy)


def test_what_is_held_out_does_not_validate_either(learnable: Learnable) -> None:
    training = LINEAR | {"labels": ["original", "hard"], "validate_on": "truth"}
    project = learnable.load(name="chosen", training=training, comparison={"folds": 3})
    workspace = Workspace(project)
    folds = by_truth(workspace, 3, 0)
    settings = project.training.variant("original")
    splits = splits_of(project.comparison, settings)
    assert splits == ("train", "test")
    fold_N = to_array(folds.read_group(0, ["fold"]).column("fold"))
    parts = [
        workspace.images.read(f"{s:05d}.parquet", ["split"]).column(0) for s in workspace.shards
    ]
    split_N = np.concatenate([part.to_numpy() for part in parts])
    for fold in range(3):
        part = FoldPart(folds, fold, is_held=False)
        run = training_run(
            workspace, workspace.network("x", settings, parts=(part,), splits=splits)
        )
        learned, validated = (
            sum(batch.count for batch in examples(0, 0, 1))
            for examples in (run.train, run.validate)
        )
        assert learned == ((fold_N != fold) & (split_N != "val")).sum()
        assert validated == ((fold_N != fold) & (split_N == "val")).sum()


def test_one_network_cannot_be_compared(learnable: Learnable) -> None:
    with pytest.raises(ConfigError, match="to compare, name at least two networks"):
        compare(learnable.load(name="one", training=LINEAR | {"labels": "soft"}))
