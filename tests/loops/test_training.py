"""Training through the tables: variants, truth locked away, workers, pretraining, other images."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pyarrow as pa
import pytest
import safetensors.numpy
import torch

from tests.conftest import CNN, LINEAR, Learnable, paint
from wslabel import pipeline
from wslabel.columns import to_array
from wslabel.config import load
from wslabel.errors import (
    ClusterTooSmall,
    ConfigError,
    TrainingError,
    WeightsError,
    WorkLeft,
)
from wslabel.loops.predict import find_network, predict
from wslabel.settings import Project
from wslabel.steps.export import export
from wslabel.steps.networks import check_start
from wslabel.steps.tables import NETWORK, Tables
from wslabel.steps.train import ModelHome, pretraining_run, training_run
from wslabel.storage.table import Table, shard_name
from wslabel.training.networks import Cnn, head
from wslabel.training.trainer import train_all_here

STRONG = {"crop": 0.5, "brightness": 0.4, "hue": 0.1}


def report_of(project: Project) -> dict[str, Any]:
    outcomes = {outcome.stage: outcome for outcome in pipeline.run(project)}
    report: dict[str, Any] = outcomes["evaluate"].report
    return report


def kept(project: Project, name: str) -> dict[str, np.ndarray]:
    tables = Tables(project)
    return safetensors.numpy.load(tables.location.read(tables.networks[name].file).to_pybytes())


VARIANTS = {
    "careful": {"labels": "soft", "confidence_threshold": 0.6, "label_smoothing": 0.1},
    "weighed": {"labels": "hard", "class_weights": "balanced", "weight_by_confidence": True},
    "each": {"labels": "soft", "loss": "binary_cross_entropy"},
    "same": {"labels": "soft"},
}


@pytest.fixture(scope="module")
def trained(learnable: Learnable) -> tuple[Project, dict[str, Any]]:
    training = LINEAR | {"variants": VARIANTS, "validate_on": "truth", "select_by": "roc_auc"}
    project = learnable.load(name="variants", training=training)
    return project, report_of(project)


def test_every_variant_is_trained_and_judged(trained: tuple[Project, dict[str, Any]]) -> None:
    project, report = trained
    names = ["original", "soft", "hard", *VARIANTS]
    assert list(report["networks"]) == sorted(names)
    for judged in report["networks"].values():
        assert judged["test"]["num_images"] == 12
        for key in ("accuracy", "macro_f1", "roc_auc", "calibration_error"):
            assert 0 <= judged["test"][key] <= 1
    tables = Tables(project)
    folders = {name: network.folder for name, network in tables.networks.items()}
    # A variant that changes nothing is the same network under another name.
    assert folders["same"] == folders["soft"]
    assert len(set(folders.values())) == len(names) - 1
    assert not np.array_equal(
        kept(project, "careful")["linear.weight"], kept(project, "soft")["linear.weight"]
    )


def test_a_network_has_a_card_and_events_and_no_checkpoints_left(
    trained: tuple[Project, dict[str, Any]],
) -> None:
    tables = Tables(trained[0])
    network = tables.networks["careful"]
    card = json.loads(tables.location.read(f"{network.folder}/card.json").to_pybytes())
    assert card["classes"] == ["jungle", "sea"]
    assert card["labels"] == "soft"
    assert card["training"]["label_smoothing"] == 0.1
    assert card["fingerprint"] == network.folder.rpartition("-")[2]
    assert [record["epoch"] for record in card["history"]] == [1, 2, 3]
    assert card["metrics"] == card["history"][card["best_epoch"] - 1]
    assert card["metrics"]["validation_roc_auc"] == max(
        record["validation_roc_auc"] for record in card["history"]
    )
    files = [entry.path for entry in tables.location.files(network.folder, recursive=True)]
    assert files == ["card.json", NETWORK, *(f"tensorboard/{e:05d}.tfevents" for e in (1, 2, 3))]


def test_weak_networks_are_the_same_bits_whatever_the_truth(
    learnable: Learnable, tmp_path: Path
) -> None:
    """Law 6: with the truth of train and test scrambled, only `original` learns another thing."""
    weak = {"variants": VARIANTS, "validate_on": "weak", "patience": 2, "epochs": 2}
    found = []
    for name in ("honest", "scrambled"):
        shutil.copytree(learnable.folder / "ws", tmp_path / name)
        for path in (tmp_path / name).glob("models/*"):
            shutil.rmtree(path)
        project = learnable.load(name=name, workspace=str(tmp_path / name), training=LINEAR | weak)
        if name == "scrambled":
            scramble(tmp_path / name)
        pipeline.train(project)
        found.append({n: kept(project, n) for n in ("original", "soft", "hard", *VARIANTS)})
    honest, scrambled = found
    for name, tensors in honest.items():
        same = all(np.array_equal(scrambled[name][key], value) for key, value in tensors.items())
        assert same == (name != "original"), name


def scramble(workspace: Path) -> None:
    """Exchange the truth of train and test images, validation's too."""
    other = {"jungle": "sea", "sea": "jungle"}
    for path in (workspace / "images").glob("*.parquet"):
        table = pa.parquet.read_table(path)
        truth = [other[t] if i % 3 else t for i, t in enumerate(table.column("truth").to_pylist())]
        index = table.schema.get_field_index("truth")
        pa.parquet.write_table(table.set_column(index, "truth", pa.array(truth)), path)


def test_two_workers_make_the_network_of_one_and_say_once_what_none_can_learn(
    learnable: Learnable,
) -> None:
    how = LINEAR | {"labels": "soft", "validate_on": "weak", "seed": 5}
    alone = learnable.load(name="alone", training=how)
    pipeline.train(alone)
    one = kept(alone, "soft")
    folder = learnable.folder / "ws" / Tables(alone).networks["soft"].folder
    shutil.move(folder, learnable.folder / "alone")
    nothing = {"variants": {"none": {"labels": "soft", "confidence_threshold": 1.0}}}
    together = learnable.load(name="together", training=how | nothing | {"workers": [1, 2]})
    with pytest.raises(TrainingError, match=r"^none: there is no image to learn from; none of its"):
        pipeline.train(together)
    two = kept(together, "soft")
    assert all(np.allclose(two[name], one[name], atol=1e-5) for name in one)
    tables = Tables(together)
    assert not tables.location.exists(tables.networks["none"].file)


def test_classes_are_weighed_by_the_labels_that_count(learnable: Learnable) -> None:
    found = []
    consistent = {"kind": "kl", "unlabeled": True}
    for more in ({}, {"label_smoothing": 0.4, "consistency": consistent, "augment": {}}):
        how = CNN | {"labels": "soft", "class_weights": "balanced", "confidence_threshold": 0.7}
        tables = Tables(learnable.load(name="weighed", training=how | more))
        found.append(training_run(tables, tables.networks["soft"]).train.targets.class_weights)
    assert found[0] == found[1]
    assert found[0] != (1.0, 1.0)


def test_what_is_trained_is_not_trained_again_by_a_group_that_started_anew(
    learnable: Learnable,
) -> None:
    project = learnable.load(name="again", training=LINEAR | {"labels": ["soft", "hard"]})
    tables, told = Tables(project), []
    runs = [training_run(tables, tables.networks[name]) for name in ("soft", "hard")]
    home = ModelHome(tables.location)
    train_all_here(runs[:1], home, lambda news: None)
    train_all_here(runs, home, told.append)
    assert {news.name for news in told} == {"hard"}


def test_more_workers_than_the_cluster_holds_are_refused(learnable: Learnable) -> None:
    project = learnable.load(name="many", training=LINEAR | {"workers": 3, "epochs": 9})
    with pytest.raises(ClusterTooSmall, match=r"training.workers: 3 of 1 CPUs each need 3, .* 2"):
        pipeline.train(project)


@pytest.fixture(scope="module")
def pretrained(learnable: Learnable) -> Project:
    how = {key: value for key, value in CNN.items() if key != "epochs"}
    pretraining = how | {"method": "simclr", "augment": STRONG, "epochs": 2, "probe": "truth"}
    training = CNN | {"labels": "soft", "weights": "pretrained", "freeze_epochs": 1}
    return learnable.load(name="pretrained", pretraining=pretraining, training=training)


def here(project: Project, *names: str) -> None:
    """Train in this process, which spares the start of workers."""
    tables = Tables(project)
    for name in names:
        if name == "pretrained":
            assert project.pretraining is not None
            run = pretraining_run(tables, project.pretraining)
        else:
            run = training_run(tables, tables.networks[name])
        train_all_here([run], ModelHome(tables.location), lambda news: None)


def test_training_starts_from_the_pretrained_body(pretrained: Project) -> None:
    with pytest.raises(WorkLeft, match="run the stage pretrain first"):
        pipeline.train(pretrained)
    here(pretrained, "pretrained")
    outcome = pipeline.pretrain(pretrained)
    assert outcome.made == 0
    assert set(outcome.report) == {"pretrained", "random", "num_train", "num_test"}
    tables = Tables(pretrained)
    body = tables.location.read(f"{tables.pretrained}/{NETWORK}").to_pybytes()
    learned = safetensors.numpy.load(body)
    network = training_run(tables, tables.networks["soft"]).make()
    last = head(network)
    own = network.state_dict()
    arrived = [name for name in own if not name.startswith(f"{last}.")]
    assert len(arrived) > 10
    for name in arrived:
        assert np.array_equal(own[name].numpy(), learned[name]), name
    assert own[f"{last}.weight"].shape == (2, 128)
    here(pretrained, "soft")
    assert pipeline.train(pretrained).made == 0


def test_rotation_teaches_a_body_too(learnable: Learnable) -> None:
    pretraining = CNN | {"method": "rotation", "probe": "weak", "splits": ["train", "val"]}
    project = learnable.load(name="rotation", pretraining=pretraining, training=None)
    here(project, "pretrained")
    report = pipeline.pretrain(project).report
    assert report["num_train"] == 42
    tables = Tables(project)
    card = tables.location.read(f"{tables.pretrained}/card.json").to_pybytes()
    assert [r["epoch"] for r in json.loads(card)["history"]] == [1, 2]


def test_a_start_that_spoils_training_is_refused_before_any_worker_starts(
    learnable: Learnable, tmp_path: Path
) -> None:
    def train(network: torch.nn.Module, **how: Any) -> None:
        torch.save(network.state_dict(), tmp_path / "start.pt")
        own = CNN | {"labels": "soft", "weights": str(tmp_path / "start.pt"), "seed": 8} | how
        project = learnable.load(name="start", training=own)
        network_ = Tables(project).networks["soft"]
        check_start(network_.how, training_run(Tables(project), network_).make, project.s3)

    with pytest.raises(
        WeightsError, match=r"no tensor '0.weight' of shape \(32, 3, 3, 3\) for cnn"
    ):
        train(Cnn(2, (8, 16)))
    # A network that was never trained has no means either, as one whose means were folded away.
    with pytest.raises(WeightsError, match=r"start.pt: its batch normalizations were folded"):
        train(Cnn(2))
    train(Cnn(2), batch_norm="frozen")
    other = Cnn(5)
    other(torch.randn(4, 3, 16, 16))
    train(other)


def test_other_images_are_predicted_as_the_projects_own(
    trained: tuple[Project, dict[str, Any]], tmp_path: Path, scenes: Path
) -> None:
    project, _ = trained
    outcomes = predict(project, "careful", str(scenes / "coast"), str(tmp_path / "other"))
    assert [outcome.stage for outcome in outcomes] == ["ingest", "featurize", "predict"]
    found = predictions(tmp_path / "other")
    assert len(found) == 30
    tables = Tables(project)
    own: dict[str, list[float]] = {}
    derived = tables.predictions(tables.networks["careful"])
    for work in derived.works:
        own |= by_id(derived.table.read(work.name))
    for name, probabilities in found.items():
        assert probabilities == pytest.approx(own[f"coast/{name}"], abs=1e-6)
    again = predict(project, "careful", str(scenes / "coast"), str(tmp_path / "other"))
    assert [outcome.made for outcome in again] == [0, 0, 0]


def by_id(table: pa.Table) -> dict[str, list[float]]:
    return dict(
        zip(
            table.column("image_id").to_pylist(),
            to_array(table.column("probabilities")).tolist(),
            strict=True,
        )
    )


def predictions(workspace: Path) -> dict[str, list[float]]:
    (path,) = workspace.glob("predictions/*/*.parquet")
    return by_id(pa.parquet.read_table(path))


def test_other_images_may_be_a_table_or_any_source(
    trained: tuple[Project, dict[str, Any]], tmp_path: Path
) -> None:
    project, _ = trained
    paint(tmp_path / "new" / "a.jpg", "sea", 7)
    paint(tmp_path / "new" / "b.jpg", "jungle", 8)
    (tmp_path / "new" / "broken.jpg").write_bytes(b"<html>")
    (tmp_path / "some.csv").write_text("uri\nnew/a.jpg\nnew/b.jpg\n")
    source = f"images:\n  source: folder\n  path: {tmp_path / 'new'}\n"
    (tmp_path / "some.yaml").write_text(source)
    predict(project, "soft", str(tmp_path / "some.csv"), str(tmp_path / "t"))
    config = project.model_copy(
        update={"engine": project.engine.model_copy(update={"max_error_share": 0.5})}
    )
    predict(config, "soft", str(tmp_path / "some.yaml"), str(tmp_path / "y"))
    table, source_ = predictions(tmp_path / "t"), predictions(tmp_path / "y")
    assert len(table) == 2
    assert sorted(source_) == ["a.jpg", "b.jpg", "broken.jpg"]
    assert np.isnan(source_["broken.jpg"]).all()
    assert sorted(table.values()) == sorted(v for k, v in source_.items() if k != "broken.jpg")


def test_what_cannot_be_predicted_is_refused(
    trained: tuple[Project, dict[str, Any]], tmp_path: Path, learnable: Learnable
) -> None:
    project, _ = trained
    with pytest.raises(ConfigError, match="no network 'carefull'; did you mean 'careful'"):
        predict(project, "carefull", "x", "y")
    with pytest.raises(ConfigError, match=r"--images: images.path: there is no file '.*/nowhere'"):
        predict(project, "soft", str(tmp_path / "nowhere"), str(tmp_path / "o"))
    with pytest.raises(ConfigError, match="name another workspace"):
        predict(project, "soft", str(tmp_path), str(learnable.folder / "ws"))
    later = learnable.load(name="later", training=LINEAR | {"epochs": 77})
    with pytest.raises(WorkLeft, match="run the stage train first"):
        predict(later, "soft", str(tmp_path), str(tmp_path / "o"))


@pytest.mark.parametrize("name", ["each", "soft"])
def test_onnx_says_what_the_network_says(
    trained: tuple[Project, dict[str, Any]], tmp_path: Path, name: str
) -> None:
    project, _ = trained
    files = export(Tables(project), find_network(project, name), tmp_path / "net")
    assert [Path(f).name for f in files] == [NETWORK, "card.json", "network.onnx"]
    session = onnxruntime.InferenceSession(files[2])
    tables = Tables(project)
    feature = Table(tables.location, tables.extractors["net"].folder)
    inputs = to_array(feature.read(shard_name(0)).column("embedding"))
    found = session.run(["probabilities"], {"inputs": inputs})[0]
    derived = tables.predictions(tables.networks[name])
    expected = to_array(derived.table.read(derived.works[0].name).column("probabilities"))
    assert np.allclose(found, expected[: len(inputs)], atol=1e-5)


def test_onnx_of_images(pretrained: Project) -> None:
    here(pretrained, "pretrained", "soft")
    pipeline.predict(pretrained)
    tables = Tables(pretrained)
    network = tables.networks["soft"]
    session = onnxruntime.InferenceSession(export(tables, network)[2])
    values, _ = tables.inputs_of(network.how).read(0, 0)
    derived = tables.predictions(network)
    expected = to_array(derived.table.read(derived.works[0].name).column("probabilities"))
    found = session.run(None, {"inputs": values[:5]})[0]
    assert np.allclose(found, expected[:5], atol=1e-4)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what MLflow stands on
def test_mlflow_and_wandb_are_told(
    learnable: Learnable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow  # noqa: PLC0415 - slow

    from wslabel.training import records  # noqa: PLC0415

    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    monkeypatch.setenv("WANDB_SILENT", "true")
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    for epoch in (1, 2):
        record = {"epoch": epoch, "loss": 1.0 / epoch}
        for logger in ("mlflow", "wandb"):
            records.tell(logger, "soft", "models/soft-abc", {"classes": ["a"]}, record)
    client = mlflow.MlflowClient()
    (run,) = client.search_runs([client.get_experiment_by_name("wslabel").experiment_id])
    assert run.info.run_name == "soft"
    assert [m.value for m in client.get_metric_history(run.info.run_id, "loss")] == [1.0, 0.5]
    import wandb  # noqa: PLC0415

    wandb.finish()
    assert list(tmp_path.glob("wandb/offline-run-*-soft-abc"))
    file = learnable.write(name="told", training=LINEAR | {"loggers": ["mlflow"]})
    assert load(file)
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(ConfigError, match=r"training\.loggers: mlflow is not installed; pip"):
        load(file)
