"""One group through networks: rows in are rows out, and none judges what it has learned from."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from tests.examples.tables import CLASSES, DIM, FEATURE, ROWS, SHARDS, draw, label_groups, write
from wslabel.columns import to_array
from wslabel.examples.inputs import Inputs
from wslabel.networks.factory import BuildLinear
from wslabel.stages.predict.step import PredictItem, PredictStep, TrainedNetwork
from wslabel.storage.location import Location
from wslabel.storage.table import Table
from wslabel.training.checkpoints import Fitted, serialize
from wslabel.workspace.shard_reader import FoldPart, ShardReader


def network_of(location: Location, output: str, *parts: FoldPart) -> TrainedNetwork:
    """Keep a linear head of random weights, and say how it predicts."""
    build = BuildLinear(DIM, len(CLASSES))
    torch.manual_seed(0)
    location.create("models/x/network.safetensors", serialize(Fitted(build().state_dict())))
    return TrainedNetwork(
        location=location,
        file="models/x/network.safetensors",
        build=build,
        inputs=Inputs(location, FEATURE),
        output=output,
        parts=parts,
    )


def test_images_without_input_and_those_learned_from_stay_as_null_rows(tmp_path: Path) -> None:
    rows = draw()
    location = write(tmp_path, rows)
    group = label_groups()[0]
    folds = (np.arange(len(SHARDS) * ROWS) % 2).astype(np.int16)
    rows_of = [range(i * ROWS, (i + 1) * ROWS) for i in range(3)]
    tables = [
        pa.table({"image_id": [f"image-{i}" for i in own], "fold": folds[own]}) for own in rows_of
    ]
    Table(location, "folds/x").commit(group.name, tables)
    learned = FoldPart(ShardReader(location, "folds/x", {0: group.name}), 1, is_held=True)
    networks = {
        "all": network_of(location, "predictions/all"),
        "others": network_of(location, "predictions/others", learned),
    }
    item = PredictItem(
        key=group.key,
        shards=group.shards,
        generations=(0, 0, 0),
        missing=dict.fromkeys(networks, group.name),
    )
    assert PredictStep(location, networks, len(CLASSES))(item).num_images == 3 * ROWS
    has_input = rows.has_input[: 3 * ROWS]
    for name, expected in (("all", has_input), ("others", has_input & (folds[: 3 * ROWS] == 0))):
        table = Table(location, f"predictions/{name}").read(group.name)
        probs_NK = to_array(table.column("probabilities"))
        assert (~np.isnan(probs_NK[:, 0])).tolist() == expected.tolist()
        assert table.column("label").is_null().to_pylist() == (~expected).tolist()
