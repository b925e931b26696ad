"""Comparison, self-training and sweeps: what they compute, what they share, what they refuse."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tests.conftest import LINEAR, Learnable, write_config
from wslabel import pipeline, schema
from wslabel.columns import to_array
from wslabel.config.experiments import SelfTraining
from wslabel.config.training import Training
from wslabel.engine.cluster import Resources
from wslabel.errors import ClusterTooSmall, ConfigError
from wslabel.experiments.compare import compare, comparison, paired, splits_of, table
from wslabel.experiments.folds import by_truth, deal_folds
from wslabel.experiments.pseudo_labels import candidates, cuts
from wslabel.experiments.self_train import Learner, self_train
from wslabel.experiments.sweep import _Scores, share, sweep
from wslabel.project.loading import load
from wslabel.stages.evaluate import Answers
from wslabel.stages.train.runs import training_run
from wslabel.training.events import EpochEvent
from wslabel.workspace.columns import Part
from wslabel.workspace.workspace import Workspace


@given(
    strata=st.lists(st.integers(-1, 3), max_size=60),
    num_folds=st.integers(2, 7),
    seed=st.integers(0, 9),
)
def test_folds_hold_every_stratum_alike(strata: list[int], num_folds: int, seed: int) -> None:
    stratum_N = np.array(strata, int)
    fold_N = deal_folds(stratum_N, num_folds, seed)
    for stratum in set(strata):
        counts = np.bincount(fold_N[stratum_N == stratum], minlength=num_folds)
        assert max(counts) - min(counts) <= 1
    counts = np.bincount(fold_N, minlength=num_folds)
    assert max(counts) - min(counts) <= 1


def test_a_paired_difference_is_scipys() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.random(50), rng.random(50)
    found, expected = paired(first - second), stats.ttest_rel(first, second)
    assert found["p_value"] == pytest.approx(expected.pvalue)
    low, high = expected.confidence_interval(0.95)
    assert (found["low"], found["high"]) == (pytest.approx(low), pytest.approx(high))
    assert paired(np.zeros(9))["p_value"] is None


def test_a_comparison_by_hand() -> None:
    truth = np.array([0, 1, 1, 0])
    silent = np.array([[0.9, 0.1], [0.2, 0.8], [np.nan, np.nan], [0.6, 0.4]])
    wrong = np.array([[0.1, 0.9], [0.2, 0.8], [0.3, 0.7], [0.6, 0.4]])
    right = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7], [0.6, 0.4]])
    answers = {
        ("a", 0): Answers(truth, right),
        ("a", 1): Answers(truth, wrong),
        ("b", 0): Answers(truth, silent),
        ("b", 1): Answers(truth, right),
    }
    found = comparison(answers, "a", 2)
    a, b = found["rows"]
    assert a["accuracies"] == [1.0, 0.75]
    assert a["accuracy"] == 0.875
    assert a["accuracy_sd"] == pytest.approx(np.std([1, 0.75], ddof=1))
    assert "difference" not in a
    # Right per image, over both seeds: a (.5, 1, 1, 1), b (1, 1, .5, 1).
    assert b["difference"] == pytest.approx(0.0)
    assert b["p_value"] == pytest.approx(1.0)
    assert table(found)[1]["points to a"].startswith("+0.00 [")


@pytest.mark.parametrize("folds", [None, 3])
def test_networks_are_compared_on_what_they_have_not_learned(
    learnable: Learnable, folds: int | None
) -> None:
    how = {"seeds": 2, "folds": folds, "self_training": folds is not None, "reference": "soft"}
    again = {"variant": "soft", "folds": 2, "rounds": 1, "threshold": 0.5}
    variants = {"smooth": {"labels": "soft", "label_smoothing": 0.3}}
    training = LINEAR | {"labels": ["original", "soft"], "variants": variants}
    project = learnable.load(
        name=f"c{folds}", training=training, comparison=how, self_training=again
    )
    outcome = compare(project)
    names = [row["name"] for row in outcome.report["rows"]]
    assert names == ["original", "soft", "smooth", *(["self_training"] if folds else [])]
    for row in outcome.report["rows"]:
        assert row["images"] == (60 if folds else 12)
        assert row["seeds"] == 2
        assert ("difference" in row) == (row["name"] != "soft")
    again_ = compare(project)
    assert again_.made == 0
    assert again_.report["rows"] == outcome.report["rows"]
    page = Path(outcome.report["page"]).read_text()
    assert "smooth" in page
    assert "<svg" in page


def test_a_network_judges_exactly_what_was_held_out_of_it(learnable: Learnable) -> None:
    training = LINEAR | {"labels": ["original", "hard"], "epochs": 2}
    project = learnable.load(
        name="held_out_predictions", training=training, comparison={"seeds": 1, "folds": 3}
    )
    accuracy = compare(project).report["rows"][0]["accuracy"]
    tables = Workspace(project)
    folds = by_truth(tables, 3, 0)
    fold_N = to_array(folds.read_group(0, ["fold"]).column("fold"))
    truth = [tables.images.read(f"{s:05d}.parquet", ["truth"]).column(0) for s in tables.shards]
    truth_N = np.concatenate([t.to_numpy() for t in truth]) == "sea"
    found_N = np.full(60, -1)
    for fold in range(3):
        part = Part(folds, fold, is_held=False)
        how = project.training.variant("original")
        network = tables.network("original", how, parts=(part,), splits=schema.SPLITS)
        derived = tables.predictions(network)
        probs_NK = to_array(derived.table.read(derived.works[0].name).column("probabilities"))
        said_N = ~np.isnan(probs_NK[:, 0])
        assert np.array_equal(said_N, fold_N == fold)
        found_N[said_N] = probs_NK[said_N].argmax(axis=1)
        # What it learned from are all others.
        examples = training_run(tables, network).train
        assert sum(batch.count for batch in examples(0, 0, 1)) == (fold_N != fold).sum()
    assert (found_N == truth_N).mean() == pytest.approx(accuracy)


def test_what_is_held_out_does_not_validate_either(learnable: Learnable) -> None:
    training = LINEAR | {"labels": ["original", "hard"], "validate_on": "truth"}
    project = learnable.load(name="chosen", training=training, comparison={"folds": 3})
    tables = Workspace(project)
    folds = by_truth(tables, 3, 0)
    how = project.training.variant("original")
    splits = splits_of(project.comparison, how)
    assert splits == ("train", "test")
    fold_N = to_array(folds.read_group(0, ["fold"]).column("fold"))
    parts = [tables.images.read(f"{s:05d}.parquet", ["split"]).column(0) for s in tables.shards]
    split_N = np.concatenate([part.to_numpy() for part in parts])
    for fold in range(3):
        part = Part(folds, fold, is_held=False)
        run = training_run(tables, tables.network("x", how, parts=(part,), splits=splits))
        learned, validated = (
            sum(batch.count for batch in examples(0, 0, 1))
            for examples in (run.train, run.validate)
        )
        assert learned == ((fold_N != fold) & (split_N != "val")).sum()
        assert validated == ((fold_N != fold) & (split_N == "val")).sum()


def test_who_is_chosen_by_hand() -> None:
    predicted = np.array([[0.95, 0.05], [0.1, 0.9], [0.6, 0.4], [np.nan, np.nan], [0.02, 0.98]])
    given_ = np.array([[0.7, 0.3], [0.8, 0.2], [0.9, 0.1], [0.5, 0.5], [np.nan, np.nan]])
    sure = candidates(predicted, given_, SelfTraining(threshold=0.9))
    assert sure.tolist() == [True, True, False, False, True]
    agreeing = candidates(predicted, given_, SelfTraining(threshold=0.9, agreement=True))
    assert agreeing.tolist() == [True, False, False, False, True]
    label, confidence = np.array([0, 0, 0, 1]), np.array([0.9, 0.8, 0.7, 0.6])
    assert cuts(label, confidence, 3, 0.34).tolist() == [0.8, 0.6, np.inf]


def test_rounds_correct_labels_and_end_when_validation_gets_no_better(
    learnable: Learnable,
) -> None:
    training = LINEAR | {"labels": ["soft"], "validate_on": "weak", "learning_rate": 0.05}
    again = {"folds": 3, "rounds": 4, "threshold": 0.55, "quota": 0.8, "given_weight": 0.25}
    project = learnable.load(name="again", training=training, self_training=again)
    outcome = self_train(project)
    rounds = outcome.report["rounds"]
    scores = [found["score"] for found in rounds]
    best = outcome.report["best"]
    assert best == scores.index(max(scores))
    assert len(rounds) == 5 or len(rounds) == best + 2
    assert len(rounds) >= 2
    assert rounds[0]["labels"] is None
    assert rounds[1]["labels"]["chosen"] > 0
    assert outcome.made == 4 * (len(rounds) - 1) + (4 if len(rounds) < 5 else 1)
    corrected(project, again)
    again_ = self_train(project)
    assert again_.made == 0
    assert again_.report["rounds"] == rounds
    assert "test accuracy" in Path(outcome.report["page"]).read_text()


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
    report = self_train(project).report
    assert [one["test"]["accuracy"] for one in report["rounds"]] == [None, None]
    assert "test accuracy of round" in Path(report["page"]).read_text()


def corrected(project: Any, how: dict[str, Any]) -> None:
    """Check the labels of the first round against their ingredients."""
    tables = Workspace(project)
    given_NK = to_array(tables.labels.table.read(tables.labels.works[0].name).column(1))
    splits = [tables.images.read(f"{s:05d}.parquet", ["split"]).column(0) for s in tables.shards]
    train = np.concatenate([s.to_numpy() for s in splits]) == "train"
    learner = Learner(tables, project.training.variant("soft"))
    made, _ = learner.corrected(tables.labels, learner.judges(0, tables.labels))
    assert not made.missing
    table_ = made.table.read(made.works[0].name)
    chosen = table_.column("is_chosen").to_numpy()
    label_NK, predicted_NK = (to_array(table_.column(c)) for c in ("probabilities", "predicted"))
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
    with pytest.raises(ConfigError, match="to compare, name at least two networks"):
        compare(learnable.load(name="one", training=LINEAR | {"labels": "soft"}))


def write_sweep(learnable: Learnable, name: str, **how: Any) -> Path:
    training = LINEAR | {"validate_on": "weak", "epochs": 4}
    learnable.write(name=f"{name}-project", training=training)
    config = {"project": f"{name}-project.yaml", "fixed": {"training.labels": "soft"}} | how
    return write_config(learnable.folder / f"{name}.yaml", config)


def test_a_grid_tries_everything_and_tells_the_best(learnable: Learnable) -> None:
    search = {
        "training.label_smoothing": {"grid": [0.0, 0.3]},
        "training.labels": {"grid": ["soft", "hard"]},
        "label_model.kind": {"grid": ["snorkel", "majority"]},
    }
    path = write_sweep(learnable, "grid", search=search, fixed={}, metric="loss")
    outcome = sweep(path)
    trials = outcome.report["trials"]
    assert outcome.made == len(trials) == 8
    values = {tuple(trial["values"].values()) for trial in trials}
    assert len(values) == 8
    assert [t["score"] for t in trials] == sorted((t["score"] for t in trials), reverse=True)
    assert all(trial["epochs"] == 4 and trial["error"] is None for trial in trials)
    # Every trial is in Tune's own results, too.
    own = list((learnable.folder / "ws" / "sweeps").glob("*/trial-*/result.json"))
    assert len(own) == 8
    best = yaml.safe_load((learnable.folder / "grid-best.yaml").read_text())
    for key, value in outcome.report["best"].items():
        section, _, last = key.partition(".")
        assert best[section][last] == value
    winner = load(learnable.folder / "grid-best.yaml")
    made = {o.stage: o.made for o in pipeline.run(winner, until="evaluate")}
    assert set(made.values()) == {0}
    (judged,) = list(pipeline.run(winner, until="evaluate"))[-1].report["networks"].values()
    assert judged["test"] == outcome.report["test"]
    again = sweep(path)
    assert again.made == 0
    assert again.report["trials"] == trials


@pytest.mark.parametrize("method", ["random", "optuna"])
def test_trials_are_drawn_and_stopped_early(learnable: Learnable, method: str) -> None:
    search = {
        "training.learning_rate": {"log_uniform": [0.00001, 0.1]},
        "training.batch_size": {"integer": [8, 32]},
        "label_model.learning_rate": {"uniform": [0.001, 0.05]},
    }
    how = {"search": search, "method": method, "trials": 6, "metric": "loss"}
    path = write_sweep(learnable, method, **how, asha={"grace_epochs": 1, "reduction": 2})
    trials = sweep(path).report["trials"]
    assert len(trials) == 6
    for trial in trials:
        assert 0.00001 <= trial["values"]["training.learning_rate"] <= 0.1
        assert 8 <= trial["values"]["training.batch_size"] <= 32
    assert len({trial["values"]["training.learning_rate"] for trial in trials}) == 6
    epochs = [trial["epochs"] for trial in trials]
    assert max(epochs) == 4
    assert min(epochs) < 4


def test_trials_of_two_workers_never_wait_for_each_other(learnable: Learnable) -> None:
    """On two CPUs one such trial runs at a time, and its workers get both."""
    search = {"training.label_smoothing": {"grid": [0.0, 0.2]}}
    fixed = {"training.labels": "soft", "training.workers": 2, "training.epochs": 1}
    path = write_sweep(learnable, "two", search=search, fixed=fixed)
    trials = sweep(path).report["trials"]
    assert [trial["epochs"] for trial in trials] == [1, 1]


def a_training(**more: Any) -> Training:
    return Training.model_validate({"feature": "x"} | more)


@pytest.mark.parametrize(
    ("how", "cluster", "expected"),
    [
        ({}, (2, 0), ({"CPU": 1.0}, 2)),
        ({"cpus_per_worker": 2}, (5, 0), ({"CPU": 2.0}, 2)),
        ({"workers": 2}, (5, 0), ({}, 2)),
        ({"workers": [1, 3]}, (4, 0), ({}, 1)),
        ({"workers": [2, 8]}, (4, 0), ({}, 1)),
        ({"use_gpu": True, "gpus_per_worker": 0.25}, (8, 1), ({"CPU": 1.0, "GPU": 0.25}, 4)),
        ({"use_gpu": True, "workers": 2}, (64, 8), ({}, 4)),
    ],
)
def test_trials_share_the_cluster(how: dict[str, Any], cluster: Any, expected: Any) -> None:
    assert share(a_training(**how), Resources(*cluster), None) == expected
    assert share(a_training(**how), Resources(*cluster), 1)[1] == 1


def test_a_trial_that_fits_no_cluster_is_refused() -> None:
    with pytest.raises(ClusterTooSmall, match="a trial needs 4 CPUs, the cluster has 2 CPUs"):
        share(a_training(workers=4), Resources(2), None)
    with pytest.raises(ClusterTooSmall, match=r"needs 1 CPUs, 1 GPUs, .* 2 CPUs, 0 GPUs"):
        share(a_training(use_gpu=True), Resources(2), None)


def test_a_trial_that_goes_on_tells_what_it_was_like_before() -> None:
    told: list[Any] = []
    scores = _Scores("loss", "models/x", told.append)
    earlier = tuple({"epoch": e, "validation_loss": loss} for e, loss in ((1, 0.2), (2, 0.5)))
    scores.on_event(EpochEvent("soft", 3, earlier[-1], earlier))
    scores.on_event(EpochEvent("soft", 3, {"epoch": 3, "validation_loss": 0.4}))
    assert [(record["epoch"], record["score"]) for record in told] == [
        (1, -0.2),
        (2, -0.2),
        (3, -0.2),
    ]


GRID = {"grid": [0.1, 0.2]}
WRONG = {
    "no such key": (
        {"search": {"training.label_smothing": GRID}},
        r"wrong-project.yaml: training: unknown key 'label_smothing'; did you mean",
    ),
    "a wrong value": (
        {"search": {"training.label_smoothing": {"grid": [0.1, 7]}}},
        r"training.label_smoothing: input should be less than 1, found 7",
    ),
    "the end of a range": (
        {"search": {"training.label_smoothing": {"uniform": [0, 2]}}, "method": "random"},
        r"training.label_smoothing: input should be less than 1, found 2",
    ),
    "no such function": (
        {"search": {"labeling_functions.meen.votes": GRID}},
        r"labeling_functions.meen.votes: no 'meen'; did you mean 'mean'",
    ),
    "what all share": (
        {"search": {"images.seed": GRID}},
        r"'images.seed' cannot be searched: trials share images and cluster",
    ),
    "what a trial never looks at": (
        {"search": {"self_training.rounds": {"grid": [1, 2]}}},
        r"'self_training.rounds' cannot be searched: a trial trains one network, once",
    ),
    "where it runs": (
        {"search": {"training.workers": {"grid": [1, 2]}}},
        r"'training.workers' cannot be searched: it is the same for all trials; fix it",
    ),
    "what the metric says": (
        {"search": {"training.select_by": {"grid": ["loss", "accuracy"]}}},
        r"'training.select_by' cannot be searched: it is the sweep's metric",
    ),
    "workers that cannot be stopped": (
        {
            "search": {"training.label_smoothing": GRID},
            "fixed": {"training.labels": "soft", "training.workers": 2},
            "asha": {},
        },
        r"asha: trials of several workers cannot be stopped early; write asha: null, or fix",
    ),
    "features by range": (
        {"search": {"features.thumbnail.size": {"integer": [16, 64]}}, "method": "random"},
        r"a range would make features anew for each trial; write choice",
    ),
    "grid and draw": (
        {"search": {"training.label_smoothing": GRID}, "method": "optuna"},
        r"method optuna draws; write choice, not grid",
    ),
    "draw and grid": (
        {"search": {"training.label_smoothing": {"uniform": [0, 0.5]}}},
        r"method grid needs a grid",
    ),
    "two ways": (
        {"search": {"training.label_smoothing": GRID | {"uniform": [0, 1]}}},
        r"search.training.label_smoothing: expected one of grid, choice, .*, found grid, uniform",
    ),
    "upside down": (
        {"search": {"training.learning_rate": {"uniform": [1, 0.1]}}, "method": "random"},
        r"expected two numbers, the lower one first, found \(1.0, 0.1\)",
    ),
    "an unknown key": ({"serch": {}}, r"unknown key 'serch'; did you mean 'search'"),
    "several networks": (
        {"search": {"training.label_smoothing": GRID}, "fixed": {}},
        r"a sweep trains one network per trial, found original, soft, hard",
    ),
    "no validation": (
        {
            "search": {"training.label_smoothing": GRID},
            "fixed": {"training.labels": "soft", "training.validate_on": None},
        },
        r"training.validate_on: a sweep chooses by validation",
    ),
    "searched and fixed": (
        {"search": {"training.labels": {"grid": ["soft"]}}},
        r"fixed: 'training.labels' is searched",
    ),
    "no project": (
        {"search": {"training.label_smoothing": GRID}, "project": "wrong-projekt.yaml"},
        r"there is no such project file; did you mean 'wrong-project.yaml'",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_sweep_is_refused_before_anything_starts(learnable: Learnable, name: str) -> None:
    how, message = WRONG[name]
    path = write_sweep(learnable, "wrong", **how)
    with pytest.raises(ConfigError, match=message):
        sweep(path)
