"""One group through networks: rows in are rows out, and none judges what it has learned from."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from tests.examples.tables import CLASSES, DIM, FEATURE, ROWS, SHARDS, draw, label_groups, write
from wslabel.columns import to_array
from wslabel.examples.inputs import Inputs
from wslabel.networks.factory import BuildLinear
from wslabel.networks.trained import Predictor
from wslabel.stages.predict import step as step_module
from wslabel.stages.predict.step import PredictItem, PredictStep, TrainedNetwork
from wslabel.storage.location import Location
from wslabel.storage.table import Table
from wslabel.training.checkpoints import Fitted, serialize
from wslabel.workspace.shard_reader import FoldPart, ShardReader


def network_of(location: Location, output: str, *parts: FoldPart, seed: int = 0) -> TrainedNetwork:
    """Keep a linear head of random weights, and say how it predicts."""
    build, file = BuildLinear(DIM, len(CLASSES)), f"models/{seed}/network.safetensors"
    torch.manual_seed(seed)
    location.create(file, serialize(Fitted(build().state_dict())))
    return TrainedNetwork(
        location=location,
        file=file,
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


ONE = 4 * (DIM + 1) * len(CLASSES)
"""Bytes of a linear head."""


def item_of(names: Iterable[str]) -> PredictItem:
    group = label_groups()[0]
    return PredictItem(
        key=group.key,
        shards=group.shards,
        generations=(0, 0, 0),
        missing=dict.fromkeys(names, group.name),
    )


@pytest.mark.parametrize(("room", "num_loads"), [(10**6, 9), (3 * ONE, 9), (1, 9)])
def test_many_networks_are_loaded_one_after_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int, num_loads: int
) -> None:
    """Of any number of networks only a few are held, and what they read is read once."""
    location = write(tmp_path, draw())
    networks = {f"n{i}": network_of(location, f"predictions/n{i}", seed=i) for i in range(9)}
    step, most, loads, reads = PredictStep(location, networks, len(CLASSES)), 0, 0, list[int]()
    load, read = TrainedNetwork.load, Inputs.read

    def loading(self: TrainedNetwork) -> Predictor:
        nonlocal most, loads
        loads, most = loads + 1, max(most, len(step.loaded) + 1)
        return load(self)

    def reading(self: Inputs, shard: int, generation: int) -> Any:
        reads.append(shard)
        return read(self, shard, generation)

    monkeypatch.setattr(TrainedNetwork, "load", loading)
    monkeypatch.setattr(Inputs, "read", reading)
    monkeypatch.setattr(step_module, "LOADED_BYTES", room)
    step(item_of(networks))
    assert loads == num_loads
    assert most <= min(9, max(1, room // ONE) + 1)  # with the one that comes
    assert reads == [0, 1, 2]
    for name, network in networks.items():  # each says what it says alone
        alone = {name: replace(network, output=f"alone/{name}")}
        PredictStep(location, alone, len(CLASSES))(item_of(alone))
        made, expected = (
            Table(location, f"{folder}/{name}").read(label_groups()[0].name)
            for folder in ("predictions", "alone")
        )
        assert made.equals(expected)


@pytest.mark.parametrize(("name", "num_reads"), [("READ_BYTES", 3), ("SAID_BYTES", 9)])
def test_what_is_held_of_images_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, num_reads: int
) -> None:
    """Inputs of one shard, or what one network says, are as much as there is room for."""
    rows = draw()
    location = write(tmp_path, rows)
    networks = {f"n{i}": network_of(location, f"predictions/n{i}", seed=i) for i in range(3)}
    step, reads, read = PredictStep(location, networks, len(CLASSES)), list[int](), Inputs.read

    def reading(self: Inputs, shard: int, generation: int) -> Any:
        reads.append(shard)
        return read(self, shard, generation)

    monkeypatch.setattr(Inputs, "read", reading)
    monkeypatch.setattr(step_module, name, 1)
    step(item_of(networks))
    assert len(reads) == num_reads
    for network in networks.values():
        table = Table(location, network.output).read(label_groups()[0].name)
        assert table.column("label").is_valid().to_pylist() == rows.has_input[: 3 * ROWS].tolist()
