"""Sweeps: what they try, what they share, what they refuse."""

import pickle
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import CNN, LINEAR, Learnable, paint, tiny_config, write_config
from tests.hostile.trap import Trap
from tests.report.evaluations import labels
from wslabel import pipeline
from wslabel.config.sweep import Sweep
from wslabel.config.training import Training
from wslabel.engine.plan import Node, Resources
from wslabel.errors import ClusterTooSmall, ConfigError, WeightsError
from wslabel.experiments import sweep as module
from wslabel.experiments.sweep import share, sweep
from wslabel.experiments.train_trial import BestScores, TrainTrial
from wslabel.project.loading import load
from wslabel.project.project import Project
from wslabel.stages import evaluate
from wslabel.training.events import EpochEvent
from wslabel.training.tuner import search
from wslabel.workspace.networks import Network
from wslabel.workspace.workspace import Workspace


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
    result = sweep(path)
    trials = result.trials.trials
    assert result.made == len(trials) == 8
    values = {tuple(trial.values.values()) for trial in trials}
    assert len(values) == 8
    scores = [trial.score for trial in trials]
    assert scores == sorted(scores, reverse=True)
    assert all(trial.epochs == 4 and trial.error is None for trial in trials)
    kept = sorted(path.name for path in (learnable.folder / "ws" / "sweeps").rglob("*.*"))
    assert kept == sorted([f"{number:05d}.json" for number in range(8)] * 2)
    best = yaml.safe_load((learnable.folder / "grid-best.yaml").read_text())
    for key, value in result.trials.best.items():
        section, _, last = key.partition(".")
        assert best[section][last] == value
    winner = load(learnable.folder / "grid-best.yaml")
    made = {o.stage: o.made for o in pipeline.run(winner, until="evaluate")}
    assert set(made.values()) == {0}
    (performance,) = evaluate.run(Workspace(winner)).evaluation.networks.values()
    assert performance.to_json() == result.trials.test.to_json()
    again = sweep(path)
    assert again.made == 0
    assert again.trials.trials == trials
    assert again.notes == result.notes
    assert "The best on the test split" in Path(result.page or "").read_text()


def test_planted_results_never_become_a_project_file() -> None:
    """The best values name keys of a project, and with them files and code."""
    search = {"training.label_smoothing": {"grid": [0.0, 0.3]}}
    settings = Sweep.model_validate({"project": "p.yaml", "search": search})
    trial = {"score": 0.5, "epochs": 1, "network": "models/x", "error": None}
    found = {"metric": "loss", "trials": [], "test": labels(2, 20, seed=0).to_json()}
    right = {"training.label_smoothing": 0.3}
    whole = found | {"trials": [trial | {"values": right}]}
    assert module._kept(settings, whole).best == right
    for wrong in (right | {"workspace": "/tmp"}, {"training.label_smoothing": 0.2}, {}):
        planted = found | {"trials": [trial | {"values": right}, trial | {"values": wrong}]}
        with pytest.raises(ValueError, match="values that the sweep does not search"):
            module._kept(settings, planted)
    for wrong in ({"trials": []}, {"trials": 3}, {"test": {}}):
        with pytest.raises((ValueError, KeyError)):
            module._kept(settings, whole | wrong)


@pytest.mark.parametrize("method", ["random", "optuna"])
def test_trials_are_drawn_and_stopped_early(learnable: Learnable, method: str) -> None:
    search = {
        "training.learning_rate": {"log_uniform": [0.00001, 0.1]},
        "training.batch_size": {"integer": [8, 32]},
        "label_model.learning_rate": {"uniform": [0.001, 0.05]},
    }
    how = {"search": search, "method": method, "trials": 6, "metric": "loss"}
    path = write_sweep(learnable, method, **how, asha={"grace_epochs": 1, "reduction": 2})
    trials = sweep(path).trials.trials
    assert len(trials) == 6
    for trial in trials:
        assert 0.00001 <= trial.values["training.learning_rate"] <= 0.1
        assert 8 <= trial.values["training.batch_size"] <= 32
    assert len({trial.values["training.learning_rate"] for trial in trials}) == 6
    epochs = [trial.epochs for trial in trials]
    assert max(epochs) == 4
    assert min(epochs) < 4


def test_a_sweep_goes_on_from_its_own_files_and_reads_no_others(
    learnable: Learnable, tmp_path: Path
) -> None:
    search = {"training.learning_rate": {"log_uniform": [0.001, 0.1]}}
    how = {"search": search, "method": "optuna", "trials": 4, "concurrent": 1, "seed": 7}
    path = write_sweep(learnable, "planted", **how, asha={"grace_epochs": 1, "reduction": 2})
    workspace = learnable.folder / "ws"
    before = set((workspace / "sweeps").glob("*"))
    whole = sweep(path)
    (own,) = set((workspace / "sweeps").glob("*")) - before
    for report in workspace.glob(f"reports/sweep-{own.name}.*"):
        report.unlink()
    for number in (2, 3):  # as where its driver was killed while it did trial 2
        (own / "results" / f"{number:05d}.json").unlink()
    (own / "values" / "00003.json").unlink()
    for name in ("tuner.pkl", "trainable.pkl", "searcher-state-2026.pkl", "experiment_state.json"):
        (own / name).write_bytes(pickle.dumps(Trap(tmp_path / "ran")))
    again = sweep(path)
    assert again.trials.to_json() == whole.trials.to_json()
    assert not (tmp_path / "ran").exists()


@pytest.mark.long
def test_trials_of_two_workers_never_wait_for_each_other(learnable: Learnable) -> None:
    """On two CPUs one such trial runs at a time, and its workers get both."""
    search = {"training.label_smoothing": {"grid": [0.0, 0.2]}}
    fixed = {"training.labels": "soft", "training.workers": 2, "training.epochs": 1}
    path = write_sweep(learnable, "two", search=search, fixed=fixed)
    trials = sweep(path).trials.trials
    assert [trial.epochs for trial in trials] == [1, 1]


def test_images_that_come_while_a_sweep_runs_are_for_the_next(
    photos: Path, cluster: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = CNN | {"labels": "soft", "validate_on": "weak", "epochs": 1}
    config = tiny_config(photos, training=training)
    config["features"] |= {"thumbnail": {"size": 32}}
    project = load(write_config(tmp_path / "p.yaml", config))
    grid = {"training.label_smoothing": {"grid": [0.0, 0.1]}}
    how = {"project": "p.yaml", "search": grid, "concurrent": 1}
    path = write_config(tmp_path / "sweep.yaml", how)

    def after_new_ones(*args: Any, **more: Any) -> Any:
        for index in range(8):
            paint(photos / "coast" / f"new{index}.jpg", "sea", 500 + index)
        return search(*args, **more)

    monkeypatch.setattr(module, "search", after_new_ones)
    first = sweep(path)
    shards = Workspace(project).shards
    assert len(shards) == 8  # none of the new ones was ingested by a trial
    own = {network.folder for v in (0.0, 0.1) for network in networks_with(project, v, shards)}
    assert {trial.network for trial in first.trials.trials} == own
    # Another driver ingests them: trials that begin later see what the earlier ones saw.
    pipeline.run_stage(project, "ingest")
    assert len(Workspace(project).shards) == 9
    told: list[Any] = []
    for smoothing in (0.1, 0.2):
        raw = config | {"training": training | {"select_by": "accuracy"}}
        trial = TrainTrial(
            file=tmp_path / "p.yaml", raw=raw, shards=tuple(shards), metric="accuracy"
        )
        trial({"training.label_smoothing": smoothing}, told.append)
        (network,) = networks_with(project, smoothing, shards)
        assert told[-1]["network"] == network.folder


def networks_with(project: Project, smoothing: float, shards: list[int]) -> list[Network]:
    """Name the network of a trial that sees some shards."""
    assert project.training is not None
    changed = project.training.model_validate(
        project.training.model_dump(exclude_unset=True)
        | {"label_smoothing": smoothing}
        | {"select_by": "accuracy"}
    )
    own = project.model_copy(update={"training": changed})
    return list(Workspace(own, shards=shards).networks.values())


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
    assert share(a_training(**how), Resources((Node(*cluster),)), None) == expected
    assert share(a_training(**how), Resources((Node(*cluster),)), 1)[1] == 1


def test_workers_of_trials_live_on_one_machine_each() -> None:
    nodes = Resources((Node(3), Node(3)))
    assert share(a_training(cpus_per_worker=2), nodes, None) == ({"CPU": 2.0}, 2)
    with pytest.raises(ClusterTooSmall, match=r"1 workers of 4 CPUs, 0 find room: .* 2 machines"):
        share(a_training(cpus_per_worker=4), nodes, None)


def test_a_trial_that_fits_no_cluster_is_refused() -> None:
    with pytest.raises(
        ClusterTooSmall, match=r"needs 4 workers of 1 CPUs, 2 find room: the cluster has 2 CPUs"
    ):
        share(a_training(workers=4), Resources((Node(2),)), None)
    with pytest.raises(
        ClusterTooSmall,
        match=r"needs 1 workers of 1 CPUs and 1 GPUs, 0 find room: .* 2 CPUs, 0 GPUs",
    ):
        share(a_training(use_gpu=True), Resources((Node(2),)), None)


def test_a_trial_that_goes_on_tells_what_it_was_like_before() -> None:
    told: list[Any] = []
    scores = BestScores("loss", "models/x", told.append)
    earlier = tuple({"epoch": e, "validation_loss": loss} for e, loss in ((1, 0.2), (2, 0.5)))
    scores.on_event(EpochEvent(name="soft", epochs=3, earlier=earlier))
    scores.on_event(EpochEvent(name="soft", epochs=3, record={"epoch": 3, "validation_loss": 0.4}))
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
    "workers that cannot be stopped": (
        {
            "search": {"training.label_smoothing": GRID},
            "fixed": {"training.labels": "soft", "training.workers": 2},
            "asha": {},
        },
        r"asha: trials of several workers cannot be stopped early; write asha: null, or fix",
    ),
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
}


def test_a_value_that_cannot_work_is_refused_before_an_image_is_read(
    scenes: Path, tmp_path: Path
) -> None:
    config = tiny_config(scenes) | {"training": CNN | {"labels": "soft", "validate_on": "weak"}}
    config["features"] |= {"thumbnail": {"size": 16}}
    write_config(tmp_path / "p.yaml", config)
    search = {"training.network": {"grid": ["cnn", "timm/resnet999"]}}
    path = write_config(tmp_path / "s.yaml", {"project": "p.yaml", "search": search})
    with pytest.raises(WeightsError, match="timm has no network 'resnet999'"):
        sweep(path)
    assert not list(tmp_path.glob("ws/features/*"))


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_sweep_is_refused_before_anything_starts(learnable: Learnable, name: str) -> None:
    how, message = WRONG[name]
    path = write_sweep(learnable, "wrong", **how)
    with pytest.raises(ConfigError, match=message):
        sweep(path)
