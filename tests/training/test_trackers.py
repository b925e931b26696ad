"""TensorBoard, MLflow and Weights & Biases get the figures of each epoch, in one run."""

import traceback
from pathlib import Path

import pytest

from wslabel.errors import TrainingError
from wslabel.training.trackers import TRACKERS, TrackedRun, tell, tensorboard_events

RUN = TrackedRun(name="soft", identity="soft-abc", card={"classes": ["a"]})


def test_the_file_of_an_epoch_holds_its_figures() -> None:
    data = tensorboard_events({"epoch": 2.0, "validation_loss": 0.5})
    assert b"validation_loss" in data


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what MLflow stands on
def test_mlflow_is_told(tmp_path: Path) -> None:
    import mlflow  # noqa: PLC0415 - slow

    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    for epoch in (1, 2):
        TRACKERS["mlflow"](RUN, {"epoch": epoch, "loss": 1.0 / epoch})
    client = mlflow.MlflowClient()
    (run,) = client.search_runs([client.get_experiment_by_name("wslabel").experiment_id])
    assert run.info.run_name == "soft"
    assert [m.value for m in client.get_metric_history(run.info.run_id, "loss")] == [1.0, 0.5]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_wandb_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import wandb  # noqa: PLC0415 - slow

    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    monkeypatch.setenv("WANDB_SILENT", "true")
    for epoch in (1, 2):
        TRACKERS["wandb"](RUN, {"epoch": epoch, "loss": 1.0 / epoch})
    wandb.finish()
    assert list(tmp_path.glob("wandb/offline-run-*-soft-abc"))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_who_does_not_listen_is_told_without_his_password(monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow  # noqa: PLC0415 - slow

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    mlflow.set_tracking_uri("http://me:HUSH@127.0.0.1:9")
    with pytest.raises(TrainingError, match=r"mlflow takes no figures: .*127") as caught:
        tell("mlflow", RUN, {"epoch": 1.0})
    assert "HUSH" not in "".join(traceback.format_exception(caught.value))
