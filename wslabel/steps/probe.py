"""What a body that learned from images alone is worth: a linear probe, beside a random body."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from wslabel import schema
from wslabel.engine.drive import Spread, drive
from wslabel.engine.work import Receipt
from wslabel.errors import WorkLeft
from wslabel.settings import Pretraining
from wslabel.steps import doors
from wslabel.steps.examples import Inputs, Targets
from wslabel.steps.group import GroupWork, read_images, works
from wslabel.steps.label import class_ids
from wslabel.steps.tables import NETWORK, Tables
from wslabel.steps.train import column, network_maker
from wslabel.storage.location import Location

MOST_IMAGES = 20_000
"""Images that are probed; of more, evenly spread shards stand for all."""


@dataclass(frozen=True)
class Embed:
    """The step: give features of both bodies for images whose label or truth is known.

    Attributes:
        workspace: where all is.
        inputs: what the bodies read.
        make: builds the bare network.
        seed: of the random body.
        file: of the pretrained one.
        targets: what the probe learns, of the train split.
        classes: of the project.
    """

    workspace: Location
    inputs: Inputs
    make: Callable[[], Any]
    seed: int
    file: str
    targets: Targets
    classes: tuple[str, ...]

    @cached_property
    def _bodies(self) -> tuple[Any, Any]:
        embedder = doors.room("training.networks").Embedder
        data = self.workspace.read(self.file).to_pybytes()
        return embedder(self.make, self.seed, data), embedder(self.make, self.seed, None)

    def prepare(self, item: GroupWork, *, isolated: bool) -> None:
        """Do nothing: all is in finish."""

    def finish(self, item: GroupWork, prepared: None) -> Receipt:
        """Embed a group: features of both bodies, what to learn, truth, and whether to learn."""
        parts = []
        for shard, generation in zip(item.shards, item.generations["input"], strict=True):
            values, known_N = self.inputs.read(shard, generation)
            images = read_images(self.workspace, [shard], ["split", schema.TRUTH])
            truth_N = class_ids(images.column(schema.TRUTH), self.classes)
            targets_NK, _, train_N = self.targets.read(self.workspace, shard)
            test_N = (images.column("split").to_numpy() == "test") & (truth_N >= 0)
            used_N = known_N & (train_N | test_N)
            if not used_N.any():
                continue
            features = [body(values[used_N[known_N]]) for body in self._bodies]
            target_N = targets_NK.argmax(axis=1)
            parts.append((*features, target_N[used_N], truth_N[used_N], train_N[used_N]))
        joined = [np.concatenate(part) for part in zip(*parts, strict=True)] if parts else None
        return Receipt(item.key, sum(len(p[2]) for p in parts), result=joined)


def probe(tables: Tables, how: Pretraining) -> dict[str, float]:
    """Fit a logistic regression on the features of both bodies and score it on test truth.

    Raises:
        WorkLeft: no image of the train split has a label, or none of the test split truth.
    """
    kind = "original" if how.probe == "truth" else "hard"
    classes = tuple(tables.project.classes)
    labels = None if kind == "original" else column(tables, tables.labels)
    step = Embed(
        tables.location,
        tables.inputs_of(how),
        network_maker(tables, how),
        how.seed,
        f"{tables.pretrained}/{NETWORK}",
        Targets(classes, ("train",), kind, labels),
        classes,
    )
    chosen = _spread(tables)
    groups = works(chosen, {"input": tables.generations[how.feature]})
    receipts = drive(tables.project.engine, "probe", step, groups, spread=Spread.GPU)
    found = [receipt.result for receipt in receipts if receipt.result is not None]
    if not found:
        raise WorkLeft("pretraining.probe: no image has a label to learn or truth to be judged by")
    pretrained, fresh, target_N, truth_N, train_N = (
        np.concatenate(part) for part in zip(*found, strict=True)
    )
    if not train_N.any() or train_N.all():
        raise WorkLeft("pretraining.probe: needs labels in the train split and truth in test")
    score = doors.room("training.probing").score
    return {
        name: score(features[train_N], target_N[train_N], features[~train_N], truth_N[~train_N])
        for name, features in (("pretrained", pretrained), ("random", fresh))
    } | {"num_train": int(train_N.sum()), "num_test": int((~train_N).sum())}


def _spread(tables: Tables) -> list[int]:
    per_shard = tables.project.images.shard_size
    step = max(1, len(tables.shards) * per_shard // MOST_IMAGES)
    return tables.shards[::step]
