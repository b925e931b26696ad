"""A trained network as files that other programs take: safetensors, its card, and ONNX."""

from pathlib import Path

import numpy as np

from wslabel.errors import WorkLeft
from wslabel.steps import doors
from wslabel.steps.tables import NETWORK, Network, Tables
from wslabel.steps.train import CARD, network_maker

ONNX = "network.onnx"


def export(tables: Tables, network: Network, output: Path | None = None) -> list[str]:
    """Make the ONNX file of a network, unless it is there, and name all its files.

    Args:
        tables: of the project.
        network: to export.
        output: folder that gets a copy of all files; None leaves them in the workspace.

    Raises:
        WorkLeft: the network is not trained yet.
    """
    location = tables.location
    if not location.exists(network.file):
        raise WorkLeft(f"{network.file} is missing; run the stage train first")
    if not location.exists(f"{network.folder}/{ONNX}"):
        location.create(f"{network.folder}/{ONNX}", _onnx(tables, network))
    files = [f"{network.folder}/{name}" for name in (NETWORK, CARD, ONNX)]
    if output is None:
        return [location.uri(file) for file in files]
    output.mkdir(parents=True, exist_ok=True)
    for file in files:
        copy = output / file.rpartition("/")[2]
        copy.write_bytes(location.read(file).to_pybytes())
    return [str(output / file.rpartition("/")[2]) for file in files]


def _onnx(tables: Tables, network: Network) -> bytes:
    how = network.how
    extractor = tables.extractors[how.feature]
    crop = how.preprocess.crop
    example = np.zeros((2, crop, crop, 3), np.uint8)
    if how.network == "linear":
        assert extractor.card is not None
        example = np.zeros((2, extractor.card.embedding_dim or 0), np.float16)
    onnx, torch_of = doors.room("training.onnx"), doors.room("training.objectives").to_device
    made: bytes = onnx.to_onnx(
        network_maker(tables, how),
        tables.location.read(network.file).to_pybytes(),
        torch_of(example, doors.room("training.group").Place()),
        per_class=how.loss == "binary_cross_entropy",
    )
    return made
