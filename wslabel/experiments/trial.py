"""A labeling function tried on the stored features, beside those that the project has."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np

from wslabel.config.problems import chosen
from wslabel.errors import ConfigError
from wslabel.labeling import analysis
from wslabel.labeling.applier import LFApplier
from wslabel.labeling.labeling_function import LFConfig, features_of
from wslabel.labeling.registry import LABELING_FUNCTIONS
from wslabel.schema import TRUTH
from wslabel.workspace.batches import (
    BatchReader,
    batch_reader,
    read_shards,
    refuse_unknown_columns,
)
from wslabel.workspace.groups import GroupItem, group_items
from wslabel.workspace.images import class_ids, read_images, votes_matrix
from wslabel.workspace.workspace import Workspace


@dataclass(frozen=True, kw_only=True, eq=False)
class Trial:
    """What a labeling function says of the images of a project.

    Attributes:
        name: Name of the function.
        image_ids: Ids of all images, in the order of the tables.
        votes: int8 [n]: class id or -1 for each image.
        classes: Names of the classes that it votes for.
        coverage: Share of the images that it votes on.
        overlaps: Share of the images that it and a function of the project vote on.
        conflicts: Share of the images on which a function of the project votes otherwise.
        correct: Number of its votes that equal the truth; None where no truth is known.
        incorrect: Number of its votes that differ from the truth; None where no truth is known.
        accuracy: Share of the correct ones among the two; None where no truth is known.
    """

    name: str
    image_ids: np.ndarray
    votes: np.ndarray
    classes: tuple[str, ...]
    coverage: float
    overlaps: float
    conflicts: float
    correct: int | None
    incorrect: int | None
    accuracy: float | None


def try_config(workspace: Workspace, settings: Mapping[str, Any]) -> Trial:
    """Make a labeling function and let it vote on all images.

    Raises:
        ConfigError: The settings are no labeling function of this project.
        LabelingFunctionError: The function failed.
    """
    where = Path("try_function")
    config = chosen(
        LABELING_FUNCTIONS, settings, key="labeling_function", file=where, folder=Path.cwd()
    )
    _check(config, workspace)
    functions = workspace.function_context.make_all([config])
    tuple(functions.modules)  # imported now, so that what fails is not blamed on an image
    refuse_unknown_columns(workspace, functions.applier.functions)
    reads = functions.applier.reads
    features = features_of(reads, workspace.extractors)
    generations = {name: workspace.generations[name] for name in features}
    reader, others = batch_reader(workspace, reads), _others(workspace, config.name)
    groups = group_items(workspace.shards, generations)
    parts = [_part(workspace, functions.applier, reader, group, others) for group in groups]
    counts = reduce(analysis.merge, (part.counts for part in parts))
    (row, *_) = analysis.table(counts, [config.name, *others], workspace.project.classes)
    return Trial(
        name=config.name,
        image_ids=np.concatenate([part.image_ids for part in parts]),
        votes=np.concatenate([part.votes_N for part in parts]),
        classes=row.classes,
        coverage=row.coverage,
        overlaps=row.overlaps,
        conflicts=row.conflicts,
        correct=row.correct,
        incorrect=row.incorrect,
        accuracy=row.empirical_accuracy,
    )


def _check(config: LFConfig, workspace: Workspace) -> None:
    try:
        config.check(f"labeling_functions ({config.name})", workspace.project.outline)
    except ValueError as error:
        raise ConfigError(f"try_function: {error}") from None


@dataclass(frozen=True, eq=False)
class _Part:
    """What was found in one group."""

    image_ids: np.ndarray
    votes_N: np.ndarray
    counts: analysis.VoteCounts


def _part(
    workspace: Workspace,
    applier: LFApplier,
    reader: BatchReader,
    group: GroupItem,
    others: Sequence[str],
) -> _Part:
    shards = read_shards(reader, group)
    batch = {name: np.concatenate([shard[name] for shard in shards]) for name in shards[0]}
    votes_N1 = applier(batch)
    images = read_images(workspace.location, group.shards, [TRUTH])
    truth_N = class_ids(images.column(TRUTH), tuple(workspace.project.classes))
    votes_NM = votes_N1
    if others:
        item = workspace.votes.item_of(group.shards[0])
        stored_NM = votes_matrix(workspace.votes.table.read(item.name, others))
        votes_NM = np.concatenate([votes_N1, stored_NM], axis=1)
    counts = analysis.count(votes_NM, truth_N, len(workspace.project.classes))
    return _Part(batch["image_id"], votes_N1[:, 0], counts)


def _others(workspace: Workspace, name: str) -> list[str]:
    """Name the functions of the project that have voted, but not the one that is tried anew."""
    names = [f.name for f in workspace.project.labeling_functions if f.name != name]
    return names if names and not workspace.votes.missing else []
