"""What a body that learned from images alone is worth: a linear probe, beside a random body."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from wslabel import schema
from wslabel.config.pretraining import Pretraining
from wslabel.engine.execute import Placement, execute
from wslabel.engine.step import ItemResult
from wslabel.errors import WorkLeft
from wslabel.examples.inputs import Inputs, inputs_of
from wslabel.examples.targets import Targets
from wslabel.networks.factory import Builder
from wslabel.networks.trained import Embedder
from wslabel.stages.train.runs import network_builder
from wslabel.storage.location import Location
from wslabel.training import linear_probe
from wslabel.workspace.groups import GroupItem, group_items
from wslabel.workspace.images import class_ids, read_images
from wslabel.workspace.shard_reader import shard_reader
from wslabel.workspace.workspace import Workspace

MOST_IMAGES = 20_000
"""Images that are probed; of more, evenly spread shards stand for all."""


class Embedded(NamedTuple):
    """Features of some images, what a probe learns of them, and what it is judged by.

    Attributes:
        pretrained_ND: Features of the pretrained body.
        random_ND: Features of the random body.
        target_N: Class that the probe learns.
        truth_N: Class that it is judged by.
        is_train_N: Whether the probe learns from an image; it is judged by all others.
    """

    pretrained_ND: np.ndarray
    random_ND: np.ndarray
    target_N: np.ndarray
    truth_N: np.ndarray
    is_train_N: np.ndarray


@dataclass(frozen=True, kw_only=True)
class EmbedStep:
    """The step: give features of both bodies for images whose label or truth is known.

    Attributes:
        location: Root of the workspace.
        inputs: What the bodies read.
        build: Builds the bare network.
        seed: Seed of the random body.
        file: File of the pretrained body.
        targets: What the probe learns, of the train split.
        classes: Class names in the order of their ids.
    """

    location: Location
    inputs: Inputs
    build: Builder
    seed: int
    file: str
    targets: Targets
    classes: tuple[str, ...]

    @cached_property
    def _bodies(self) -> tuple[Embedder, Embedder]:
        data = self.location.read(self.file).to_pybytes()
        return Embedder(self.build, self.seed, data), Embedder(self.build, self.seed, None)

    def __call__(self, item: GroupItem) -> ItemResult:
        """Embed a group; the result's value is None where no image of it is of use."""
        shards = zip(item.shards, item.generations["input"], strict=True)
        parts = [self._embed(shard, generation) for shard, generation in shards]
        embedded = joined([part for part in parts if part is not None])
        num_images = 0 if embedded is None else len(embedded.target_N)
        return ItemResult(item=item.key, num_images=num_images, value=embedded)

    def _embed(self, shard: int, generation: int) -> Embedded | None:
        inputs, is_known_N = self.inputs.read(shard, generation)
        images = read_images(self.location, [shard], ["split", schema.TRUTH])
        truth_N = class_ids(images.column(schema.TRUTH), self.classes)
        targets_NK, _, is_train_N = self.targets.read(self.location, shard)
        is_test_N = (images.column("split").to_numpy() == "test") & (truth_N >= 0)
        is_used_N = is_known_N & (is_train_N | is_test_N)
        if not is_used_N.any():
            return None
        pretrained_ND, random_ND = (body(inputs[is_used_N[is_known_N]]) for body in self._bodies)
        target_N = targets_NK.argmax(axis=1)
        own = (target_N[is_used_N], truth_N[is_used_N], is_train_N[is_used_N])
        return Embedded(pretrained_ND, random_ND, *own)


def joined(parts: list[Embedded]) -> Embedded | None:
    """Put the images of several shards or groups together; None where there are none."""
    if not parts:
        return None
    return Embedded(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def probe(workspace: Workspace, settings: Pretraining) -> dict[str, float]:
    """Fit a logistic regression on the features of both bodies and score it on test truth.

    Returns:
        Accuracies on the features of the body (`pretrained`) and of a random one (`random`), and
        the number of images learned from (`num_train`) and judged by (`num_test`).

    Raises:
        WorkLeft: No image of the train split has a label, or none of the test split truth.
    """
    groups = group_items(_spread(workspace), {"input": workspace.generations[settings.feature]})
    engine, step = workspace.project.engine, _step(workspace, settings)
    results = execute(engine, "probe", step, groups, placement=Placement.GPU)
    return scores(joined([result.value for result in results if result.value is not None]))


def scores(embedded: Embedded | None) -> dict[str, float]:
    """Fit and score a probe on the features of each body; see `probe`."""
    if embedded is None:
        raise WorkLeft("pretraining.probe: no image has a label to learn or truth to be judged by")
    is_train_N = embedded.is_train_N
    if not is_train_N.any() or is_train_N.all():
        raise WorkLeft("pretraining.probe: needs labels in the train split and truth in test")
    return {
        "pretrained": _accuracy(embedded.pretrained_ND, embedded),
        "random": _accuracy(embedded.random_ND, embedded),
        "num_train": int(is_train_N.sum()),
        "num_test": int((~is_train_N).sum()),
    }


def _step(workspace: Workspace, settings: Pretraining) -> EmbedStep:
    is_truth = settings.probe == "truth"
    classes = tuple(workspace.project.classes)
    targets = Targets(
        classes=classes,
        splits=("train",),
        kind="original" if is_truth else "hard",
        labels=None if is_truth else shard_reader(workspace.labels),
    )
    return EmbedStep(
        location=workspace.location,
        inputs=inputs_of(workspace, settings),
        build=network_builder(workspace, settings),
        seed=settings.seed,
        file=workspace.pretrained_file,
        targets=targets,
        classes=classes,
    )


def _accuracy(features_ND: np.ndarray, embedded: Embedded) -> float:
    train_N = embedded.is_train_N
    return linear_probe.accuracy(
        features_ND[train_N],
        embedded.target_N[train_N],
        features_ND[~train_N],
        embedded.truth_N[~train_N],
    )


def _spread(workspace: Workspace) -> list[int]:
    """Choose shards evenly, of no more images than are probed."""
    per_shard = workspace.project.images.shard_size
    step = max(1, len(workspace.shards) * per_shard // MOST_IMAGES)
    return workspace.shards[::step]
