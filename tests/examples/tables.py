"""A small workspace whose every value is known: images, features of two kinds, labels by group."""

import io
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from wslabel import schema
from wslabel.config.preprocess import Preprocess
from wslabel.examples.examples import TableExamples
from wslabel.examples.inputs import Inputs
from wslabel.examples.targets import Targets
from wslabel.storage.location import Location
from wslabel.storage.table import Table, in_pieces, shard_name
from wslabel.training.batch import Batch
from wslabel.workspace.groups import GroupItem, group_items
from wslabel.workspace.shard_reader import ShardReader

CLASSES = ("jungle", "sea", "city")
SHARDS = (0, 1, 2, 64)  # two groups
ROWS = 17
DIM = 4
LABELS = "labels/x"
FEATURE = "features/clip-1"
THUMBNAILS = "features/thumbnail-1"
PREPROCESS = Preprocess(resize=16, crop=12)
TARGETS = ("original", "soft", "hard")


@dataclass
class Rows:
    """What is written, image by image; an image is known by the first number of its embedding."""

    split: np.ndarray
    truth: list[str | None]
    embedding: np.ndarray
    has_input: np.ndarray
    probabilities: np.ndarray
    has_label: np.ndarray


def draw(seed: int = 0, *, truth_seed: int = 1) -> Rows:
    rng, total = np.random.default_rng(seed), len(SHARDS) * ROWS
    split = rng.choice(schema.SPLITS, total, p=[0.6, 0.2, 0.2])
    embedding = np.stack([np.arange(total), *rng.normal(size=(DIM - 1, total))], axis=1)
    has_input, has_label = rng.random(total) > 0.15, rng.random(total) > 0.2
    probabilities = rng.dirichlet(np.ones(len(CLASSES)), total).astype(np.float32)
    names = [*CLASSES, None, "not ours"]
    truth = [names[i] for i in np.random.default_rng(truth_seed).integers(0, len(names), total)]
    return Rows(split, truth, embedding.astype(np.float16), has_input, probabilities, has_label)


def nullable(values: np.ndarray, known: np.ndarray) -> list[Any]:
    return [value.tolist() if k else None for value, k in zip(values, known, strict=True)]


def jpeg(brightness: int) -> bytes:
    sink = io.BytesIO()
    Image.new("RGB", (20, 16), (brightness,) * 3).save(sink, "JPEG")
    return sink.getvalue()


def write(root: Path, rows: Rows) -> Location:
    """Write the tables of a workspace: images, features of two kinds, labels by group."""
    location = Location(str(root))
    total = len(SHARDS) * ROWS
    ids = [f"image-{i}" for i in range(total)]
    embeddings = nullable(rows.embedding, rows.has_input)
    label = nullable(rows.probabilities.argmax(axis=1), rows.has_label)
    soft = nullable(rows.probabilities, rows.has_label)
    jpegs = [jpeg(50 + 2 * i) if k else None for i, k in enumerate(rows.has_input)]
    embedding_schema = schema.feature_table(pa.schema([schema.embedding(DIM)]))
    parts: dict[int, list[pa.Table]] = {}
    for index, shard in enumerate(SHARDS):
        here = slice(index * ROWS, (index + 1) * ROWS)
        arrays = [ids[here], ids[here], rows.split[here].tolist(), rows.truth[here]]
        images = pa.Table.from_arrays([pa.array(a) for a in arrays], schema=schema.IMAGES)
        Table(location, "images").commit(shard_name(shard), [images])
        known = rows.has_input[here]
        errors = pa.array([None if k else "missing" for k in known], pa.string())
        column = pa.array(embeddings[here], embedding_schema.field(1).type)
        feature = pa.Table.from_arrays(
            [pa.array(ids[here]), column, errors], schema=embedding_schema
        )
        Table(location, FEATURE).commit(shard_name(shard), [feature])
        thumbnails = pa.Table.from_arrays(
            [pa.array(ids[here]), pa.array(jpegs[here], pa.binary()), errors],
            schema=schema.feature_table(pa.schema([pa.field("jpeg", pa.binary())])),
        )
        Table(location, THUMBNAILS).commit(shard_name(shard), in_pieces(thumbnails))
        columns_ = schema.labels(len(CLASSES))
        made = [ids[here], *[soft[here], label[here]] * 2]
        columns = [pa.array(a, f.type) for a, f in zip(made, columns_, strict=True)]
        parts.setdefault(shard // 64, []).append(pa.Table.from_arrays(columns, schema=columns_))
    for group, tables in zip(label_groups(), parts.values(), strict=True):
        Table(location, LABELS).commit(group.name, tables)
    return location


def label_groups() -> list[GroupItem]:
    return group_items(SHARDS, {"input": dict.fromkeys(SHARDS, 0)})


def labels_of(location: Location) -> ShardReader:
    files = {group.key // 64: group.name for group in label_groups()}
    return ShardReader(location, LABELS, files)


def targets_of(location: Location, kind: str | None, **changes: Any) -> Targets:
    labels = None if kind == "original" else labels_of(location)
    return replace(Targets(classes=CLASSES, splits=("train",), kind=kind, labels=labels), **changes)


def examples(location: Location, kind: str | None, **changes: Any) -> TableExamples:
    own = {f.name for f in fields(Targets)}
    chosen = {k: v for k, v in changes.items() if k in own}
    made = TableExamples(
        inputs=Inputs(location, FEATURE),
        shards=[(shard, 0) for shard in SHARDS],
        targets=targets_of(location, kind, **chosen),
        batch_size=8,
        seed=5,
    )
    return replace(made, **{k: v for k, v in changes.items() if k not in own})


def batches_of(made: TableExamples, epoch: int = 0, rank: int = 0, size: int = 1) -> list[Batch]:
    return list(made(epoch, rank, size))


def known(rows: Rows, target: str) -> np.ndarray:
    if target == "original":
        return np.array([name in CLASSES for name in rows.truth])
    return rows.has_label


def expected(rows: Rows, target: str, split: str) -> dict[int, list[float]]:
    """Say by image which target it should come with."""
    wanted = (rows.split == split) & rows.has_input & known(rows, target)
    found = {}
    for image in np.flatnonzero(wanted).tolist():
        if target == "soft":
            found[image] = rows.probabilities[image].tolist()
            continue
        name = rows.truth[image]
        id_ = (
            CLASSES.index(str(name)) if target == "original" else rows.probabilities[image].argmax()
        )
        found[image] = np.eye(len(CLASSES))[id_].tolist()
    return found


def seen(batches: list[Batch]) -> list[tuple[int, list[float]]]:
    return [
        (int(row[0]), target.tolist())
        for batch in batches
        for row, target, weight in zip(batch.inputs, batch.targets_NK, batch.weights_N, strict=True)
        if weight > 0
    ]


def same(one: Batch, other: Batch) -> bool:
    return all(
        getattr(one, name).tobytes() == getattr(other, name).tobytes()
        for name in ("inputs", "targets_NK", "weights_N")
    )
