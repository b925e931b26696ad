"""Train the networks of a project that are missing, each from a fresh, equally seeded start."""

import time
from collections.abc import Sequence

from wslabel.errors import WorkLeft
from wslabel.examples.decoded_images import DecodedImages
from wslabel.stages.result import TrainResult
from wslabel.stages.train.launch import launch
from wslabel.stages.train.runs import training_run
from wslabel.workspace.networks import Network
from wslabel.workspace.requirements import require_labels
from wslabel.workspace.workspace import Workspace


def run(workspace: Workspace) -> TrainResult:
    """Train a network per kind of label and variant.

    Raises:
        WorkLeft: Labels, or the pretrained body, are not made yet.
        WeightsError: A network does not take the checkpoint that it starts from.
        ClusterTooSmall: The cluster can never hold the workers.
        TrainingError: Workers failed again and again.
    """
    start = time.monotonic()
    require_labels(workspace)
    networks = list(workspace.networks.values())
    made = train_networks(workspace, networks)
    return TrainResult(made=made, total=len(networks), seconds=time.monotonic() - start)


def train_networks(workspace: Workspace, networks: Sequence[Network]) -> int:
    """Train those of some networks that are missing, and give their number.

    Raises:
        WorkLeft: The body that they start from is not pretrained yet.
        WeightsError: A network does not take the checkpoint that it starts from.
        ClusterTooSmall: The cluster can never hold the workers.
        TrainingError: Workers failed again and again.
    """
    missing = missing_networks(workspace, networks)
    if any(network.settings.weights == "pretrained" for network in missing):
        _require_body(workspace)
    if missing:
        decoded = DecodedImages()  # what one network has read, the next need not decode
        runs = [training_run(workspace, network, decoded) for network in missing]
        launch(workspace, "train", runs)
    return len(missing)


def missing_networks(workspace: Workspace, networks: Sequence[Network]) -> list[Network]:
    """List the networks that are not trained yet, equal ones once."""
    by_folder = {network.folder: network for network in networks}
    return [n for n in by_folder.values() if not workspace.location.exists(n.file)]


def _require_body(workspace: Workspace) -> None:
    if not workspace.location.exists(workspace.pretrained_file):
        raise WorkLeft(f"{workspace.pretrained_file} is missing; run the stage pretrain first")
