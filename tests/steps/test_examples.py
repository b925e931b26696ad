"""Training sees every labeled image of its split once an epoch, and nothing else."""

import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from wslabel import schema
from wslabel.settings import Preprocess
from wslabel.steps.examples import Inputs, TableExamples
from wslabel.steps.group import works
from wslabel.storage.location import Location
from wslabel.storage.table import Table, shard_name

CLASSES = ("jungle", "sea", "city")
SHARDS = (0, 1, 2, 64)  # two groups
ROWS = 17
DIM = 4
LABELS = "labels/x"
FEATURE = "features/clip-1"
THUMBNAILS = "features/thumbnail-1"


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
        errors = pa.array([None] * ROWS, pa.string())
        column = pa.array(embeddings[here], embedding_schema.field(1).type)
        feature = pa.Table.from_arrays(
            [pa.array(ids[here]), column, errors], schema=embedding_schema
        )
        Table(location, FEATURE).commit(shard_name(shard), [feature])
        thumbnails = pa.Table.from_arrays(
            [pa.array(ids[here]), pa.array(jpegs[here], pa.binary()), errors],
            schema=schema.feature_table(schema.THUMBNAIL),
        )
        Table(location, THUMBNAILS).commit(shard_name(shard), [thumbnails])
        fields = schema.labels(len(CLASSES))
        made = [ids[here], *[soft[here], label[here]] * 2]
        columns = [pa.array(a, f.type) for a, f in zip(made, fields, strict=True)]
        parts.setdefault(shard // 64, []).append(pa.Table.from_arrays(columns, schema=fields))
    for work, tables in zip(group_works(), parts.values(), strict=True):
        Table(location, LABELS).commit(work.name, tables)
    return location


def group_works() -> list[Any]:
    return works(SHARDS, {"input": dict.fromkeys(SHARDS, 0)})


def examples(location: Location, target: str, **changes: Any) -> TableExamples:
    is_weak = target != "original"
    made = TableExamples(
        inputs=Inputs(location, FEATURE),
        works=group_works(),
        target=target,
        labels=LABELS if is_weak else None,
        label_files={work.key: work.name for work in group_works()} if is_weak else {},
        classes=CLASSES,
        split="train",
        batch_size=8,
        seed=5,
    )
    return replace(made, **changes)


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


def seen(batches: Any) -> list[tuple[int, list[float]]]:
    return [
        (int(row[0]), target.tolist())
        for inputs, targets in batches
        for row, target in zip(inputs, targets, strict=True)
    ]


TARGETS = ("original", "soft", "hard")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Location:
    return write(tmp_path_factory.mktemp("workspace"), draw())


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("split", schema.SPLITS)
@pytest.mark.parametrize("batch_size", [1, 3, 8, 1000])
def test_every_labeled_image_of_the_split_comes_once(
    workspace: Location, target: str, split: str, batch_size: int
) -> None:
    for epoch in range(2):
        batches = list(examples(workspace, target, split=split, batch_size=batch_size)(epoch))
        found = seen(batches)
        assert len(found) == len(dict(found))
        assert dict(found) == expected(draw(), target, split)
        assert all(len(inputs) == batch_size for inputs, _ in batches[:-1])


@pytest.mark.parametrize("target", TARGETS)
def test_targets_are_probabilities(workspace: Location, target: str) -> None:
    for inputs, targets in examples(workspace, target)(0):
        assert inputs.dtype == np.float16
        assert targets.dtype == np.float32
        assert np.allclose(targets.sum(axis=1), 1, atol=1e-5)


def test_the_order_is_that_of_the_seed_and_the_epoch(workspace: Location) -> None:
    first = seen(examples(workspace, "soft")(0))
    assert seen(examples(workspace, "soft")(0)) == first
    assert seen(examples(workspace, "soft")(1)) != first
    assert seen(examples(workspace, "soft", seed=6)(0)) != first


def test_without_a_seed_the_order_is_that_of_the_tables(workspace: Location) -> None:
    found = [image for image, _ in seen(examples(workspace, "soft", seed=None)(0))]
    assert found == sorted(found)


@pytest.mark.parametrize("target", ["soft", "hard"])
def test_scrambled_truth_leaves_weak_examples_bit_equal(tmp_path: Path, target: str) -> None:
    honest = write(tmp_path / "honest", draw())
    scrambled = write(tmp_path / "scrambled", draw(truth_seed=77))
    for a, b in zip(examples(honest, target)(0), examples(scrambled, target)(0), strict=True):
        assert a[0].tobytes() == b[0].tobytes()
        assert a[1].tobytes() == b[1].tobytes()
    truths = [dict(seen(examples(place, "original")(0))) for place in (honest, scrambled)]
    assert truths[0] != truths[1]


def test_truth_of_other_splits_leaves_original_examples_bit_equal(tmp_path: Path) -> None:
    honest, other = draw(), draw(truth_seed=77)
    mixed = replace(
        honest,
        truth=[
            mine if split == "train" else theirs
            for split, mine, theirs in zip(honest.split, honest.truth, other.truth, strict=True)
        ],
    )
    assert mixed.truth != honest.truth
    places = [write(tmp_path / "a", honest), write(tmp_path / "b", mixed)]
    first, second = (list(examples(place, "original")(0)) for place in places)
    for a, b in zip(first, second, strict=True):
        assert a[0].tobytes() == b[0].tobytes()
        assert a[1].tobytes() == b[1].tobytes()


def test_thumbnails_become_the_pixels_of_their_images(workspace: Location) -> None:
    how = Preprocess(resize=16, crop=12)
    inputs = Inputs(workspace, THUMBNAILS, how)
    batches = list(examples(workspace, "soft", inputs=inputs, seed=None)(0))
    pixels = np.concatenate([batch[0] for batch in batches])
    wanted = list(expected(draw(), "soft", "train"))
    assert pixels.shape == (len(wanted), 12, 12, 3)
    assert pixels.dtype == np.uint8
    assert np.abs(pixels.mean(axis=(1, 2, 3)) - [50 + 2 * image for image in wanted]).max() < 2
    soft = np.concatenate([batch[1] for batch in batches])
    assert np.array_equal(soft, draw().probabilities[wanted])


@pytest.mark.parametrize("change", [{"has_input": False}, {"has_label": False}])
def test_a_split_without_any_example_gives_no_batch(
    tmp_path: Path, change: dict[str, bool]
) -> None:
    rows = draw()
    for name, value in change.items():
        setattr(rows, name, np.full(len(rows.split), value))
    assert list(examples(write(tmp_path, rows), "soft")(0)) == []


def test_a_newer_generation_of_a_shard_is_the_one_read(tmp_path: Path) -> None:
    rows = draw()
    location = write(tmp_path, rows)
    old = Table(location, FEATURE).read(shard_name(1))
    values = np.full((ROWS, DIM), 500, np.float16)
    column = pa.array(list(values), old.schema.field(1).type)
    Table(location, FEATURE).commit(
        shard_name(1, 1), [old.set_column(1, old.schema.field(1), column)]
    )
    newer = works(SHARDS, {"input": dict.fromkeys(SHARDS, 0) | {1: 1}})
    files = {w.key: name.name for w, name in zip(newer, group_works(), strict=True)}
    made = examples(location, "soft", works=newer, label_files=files)
    first = [image for image, _ in seen(made(0))]
    here = slice(ROWS, 2 * ROWS)
    assert first.count(500) == ((rows.split == "train") & rows.has_label)[here].sum()
