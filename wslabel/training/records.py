"""What is told of training while it goes on: checkpoints, TensorBoard, MLflow, Weights & Biases."""

import importlib
import io
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import tensorboardX
import torch


def pack(state: Mapping[str, Any], sink: BinaryIO) -> None:
    """Write a checkpoint: tensors, numbers and lists."""
    torch.save(dict(state), sink)


def unpack(data: bytes) -> dict[str, Any]:
    """Read a checkpoint without running any code in it."""
    state: dict[str, Any] = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    return state


def tensorboard_events(record: Mapping[str, float]) -> bytes:
    """Make a file of TensorBoard's that holds the numbers of one epoch."""
    with tempfile.TemporaryDirectory(prefix="wslabel-events-") as folder:
        writer = tensorboardX.SummaryWriter(folder)
        for name, value in record.items():
            writer.add_scalar(name, value, int(record["epoch"]))
        writer.close()
        (file,) = Path(folder).iterdir()
        return file.read_bytes()


def tell(
    logger: str, name: str, folder: str, card: Mapping[str, Any], record: Mapping[str, float]
) -> None:
    """Tell a logger of one epoch; the run is found again by the folder of its network."""
    identity = folder.rpartition("/")[2]
    step = int(record["epoch"])
    library: Any = importlib.import_module(logger)  # an extra, seconds to import
    if logger == "mlflow":
        _tell_mlflow(library, name, identity, record, step)
        return
    if library.run is None or library.run.id != identity:
        library.finish()
        project = "wslabel"
        library.init(project=project, id=identity, name=name, resume="allow", config=dict(card))
    library.log(dict(record), step=step)


def _tell_mlflow(
    mlflow: Any, name: str, identity: str, record: Mapping[str, float], step: int
) -> None:
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name("wslabel")
    where = experiment.experiment_id if experiment else client.create_experiment("wslabel")
    found = client.search_runs([where], f"tags.wslabel = '{identity}'")
    if not found:
        found = [client.create_run(where, run_name=name, tags={"wslabel": identity})]
    for key, value in record.items():
        client.log_metric(found[0].info.run_id, key, value, step=step)
