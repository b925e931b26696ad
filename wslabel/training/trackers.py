"""Those who follow training while it goes on: TensorBoard, MLflow, Weights & Biases."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import tensorboardX

from wslabel.errors import TrainingError
from wslabel.uri import hushed

PROJECT = "wslabel"


@dataclass(frozen=True, kw_only=True)
class TrackedRun:
    """A run as trackers show it.

    Attributes:
        name: Name of the network, for people.
        identity: What the run is found again by when training goes on.
        card: What is known of the network before it is trained.
    """

    name: str
    identity: str
    card: Mapping[str, object]


def tensorboard_events(record: Mapping[str, float]) -> bytes:
    """Make a file of TensorBoard's that holds the numbers of one epoch."""
    with tempfile.TemporaryDirectory(prefix="wslabel-events-") as folder:
        writer = tensorboardX.SummaryWriter(folder)
        for name, value in record.items():
            writer.add_scalar(name, value, int(record["epoch"]))
        writer.close()
        (file,) = Path(folder).iterdir()
        return file.read_bytes()


def tell_mlflow(run: TrackedRun, record: Mapping[str, float]) -> None:
    """Tell MLflow of one epoch."""
    import mlflow  # noqa: PLC0415 - an extra

    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name(PROJECT)
    experiment_id = experiment.experiment_id if experiment else client.create_experiment(PROJECT)
    known = client.search_runs([experiment_id], f"tags.wslabel = '{run.identity}'")
    tags = {"wslabel": run.identity}
    own = known[0] if known else client.create_run(experiment_id, run_name=run.name, tags=tags)
    for key, value in record.items():
        client.log_metric(own.info.run_id, key, value, step=int(record["epoch"]))


def tell_wandb(run: TrackedRun, record: Mapping[str, float]) -> None:
    """Tell Weights & Biases of one epoch."""
    import wandb  # noqa: PLC0415 - an extra

    if wandb.run is None or wandb.run.id != run.identity:
        wandb.finish()
        config = dict(run.card)
        wandb.init(project=PROJECT, id=run.identity, name=run.name, resume="allow", config=config)
    wandb.log(dict(record), step=int(record["epoch"]))


def tell(logger: str, run: TrackedRun, record: Mapping[str, float]) -> None:
    """Tell one of `TRACKERS` of one epoch.

    Raises:
        TrainingError: It does not listen; what it says may hold the address with a password.
    """
    try:
        TRACKERS[logger](run, record)
    except Exception as error:  # noqa: BLE001 - told as one of ours
        text = " ".join(hushed(str(error)).split())[:300]
        raise TrainingError(f"{logger} takes no figures: {type(error).__name__}: {text}") from None


TRACKERS = {"mlflow": tell_mlflow, "wandb": tell_wandb}
"""By the names that `training.loggers` gives them."""
