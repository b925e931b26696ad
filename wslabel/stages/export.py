"""A trained network as files that other programs take: safetensors, its card, and ONNX."""

from pathlib import Path

import numpy as np
import torch

from wslabel.examples.inputs import embedding_dim
from wslabel.networks.factory import builder
from wslabel.training.onnx import refuse_without_onnx, to_onnx
from wslabel.workspace.networks import CARD, NETWORK, Network
from wslabel.workspace.requirements import require_network
from wslabel.workspace.workspace import Workspace

ONNX = "network.onnx"


def export(workspace: Workspace, network: Network, output: Path | None = None) -> list[str]:
    """Make the ONNX file of a network, unless it is there, and name all its files.

    Args:
        workspace: Workspace of the project.
        network: Network to export.
        output: Folder that gets a copy of all files; None leaves them in the workspace.

    Raises:
        ConfigError: ONNX is not installed.
        WorkLeft: The network is not trained yet.
    """
    refuse_without_onnx()
    location, onnx = workspace.location, f"{network.folder}/{ONNX}"
    require_network(workspace, network)
    if not location.exists(onnx):
        location.create(onnx, _onnx(workspace, network))
    files = [f"{network.folder}/{name}" for name in (NETWORK, CARD, ONNX)]
    if output is None:
        return [location.uri(file) for file in files]
    output.mkdir(parents=True, exist_ok=True)
    return [str(_copied(workspace, file, output)) for file in files]


def _copied(workspace: Workspace, file: str, folder: Path) -> Path:
    copy = folder / file.rpartition("/")[2]
    copy.write_bytes(workspace.location.read(file).to_pybytes())
    return copy


def _onnx(workspace: Workspace, network: Network) -> bytes:
    settings = network.settings
    dim = embedding_dim(workspace, settings)
    crop = settings.preprocess.crop
    shape = (2, crop, crop, 3) if dim is None else (2, dim)
    example = np.zeros(shape, np.uint8 if dim is None else np.float16)
    return to_onnx(
        builder(settings, dim, len(workspace.project.classes)),
        workspace.location.read(network.file).to_pybytes(),
        torch.from_numpy(example),
        per_class=settings.loss == "binary_cross_entropy",
    )
