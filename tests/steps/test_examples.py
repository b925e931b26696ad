"""Training sees every labeled image of its split once an epoch, and nothing else."""

import io
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from wslabel import schema
from wslabel.settings import Augmentations, Preprocess
from wslabel.steps import examples as module
from wslabel.steps.examples import Column, Inputs, Part, TableExamples, Targets
from wslabel.steps.group import works
from wslabel.storage.location import Location
from wslabel.storage.table import Table, in_pieces, shard_name
from wslabel.training.batch import Batch

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
        known = rows.has_input[here]
        errors = pa.array([None if k else "missing" for k in known], pa.string())
        column = pa.array(embeddings[here], embedding_schema.field(1).type)
        feature = pa.Table.from_arrays(
            [pa.array(ids[here]), column, errors], schema=embedding_schema
        )
        Table(location, FEATURE).commit(shard_name(shard), [feature])
        thumbnails = pa.Table.from_arrays(
            [pa.array(ids[here]), pa.array(jpegs[here], pa.binary()), errors],
            schema=schema.feature_table(schema.THUMBNAIL),
        )
        Table(location, THUMBNAILS).commit(shard_name(shard), in_pieces(thumbnails))
        columns_ = schema.labels(len(CLASSES))
        made = [ids[here], *[soft[here], label[here]] * 2]
        columns = [pa.array(a, f.type) for a, f in zip(made, columns_, strict=True)]
        parts.setdefault(shard // 64, []).append(pa.Table.from_arrays(columns, schema=columns_))
    for work, tables in zip(group_works(), parts.values(), strict=True):
        Table(location, LABELS).commit(work.name, tables)
    return location


def group_works() -> list[Any]:
    return works(SHARDS, {"input": dict.fromkeys(SHARDS, 0)})


def labels_of(location: Location) -> Column:
    files = {work.key // 64: work.name for work in group_works()}
    return Column(location, LABELS, files)


def targets_of(location: Location, kind: str | None, **changes: Any) -> Targets:
    labels = None if kind == "original" else labels_of(location)
    return replace(Targets(CLASSES, ("train",), kind, labels), **changes)


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


TARGETS = ("original", "soft", "hard")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Location:
    return write(tmp_path_factory.mktemp("workspace"), draw())


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("split", schema.SPLITS)
@pytest.mark.parametrize("batch_size", [1, 3, 1000])
def test_every_labeled_image_of_the_split_comes_once(
    workspace: Location, target: str, split: str, batch_size: int
) -> None:
    made = examples(workspace, target, splits=(split,), batch_size=batch_size)
    for epoch in range(2):
        batches = batches_of(made, epoch)
        found = seen(batches)
        assert len(found) == len(dict(found))
        assert dict(found) == expected(draw(), target, split)
        assert max(batch.count for batch in batches) <= batch_size


@pytest.mark.parametrize("world_size", [2, 3, 5])
@pytest.mark.parametrize("seed", [5, None])
def test_batches_are_the_same_however_many_workers_share_them(
    workspace: Location, world_size: int, seed: int | None
) -> None:
    made = examples(workspace, "soft", seed=seed, batch_size=7)
    whole = batches_of(made)
    parts = [batches_of(made, 0, rank, world_size) for rank in range(world_size)]
    for number, batch in enumerate(whole):
        mine = [part[number] for part in parts]
        inputs = np.concatenate([m.inputs[m.weights_N > 0] for m in mine])
        assert np.array_equal(inputs, batch.inputs)
        assert {m.total for m in mine} == {batch.total}
        sizes = tuple(int((m.weights_N > 0).sum()) for m in mine)
        assert {m.sizes for m in mine} == {sizes}
    assert all(len(part) == len(whole) for part in parts)


def test_more_workers_than_images_look_at_one_that_counts_nothing(tmp_path: Path) -> None:
    rows = draw()
    rows.has_label = (
        np.arange(len(rows.split)) == np.flatnonzero((rows.split == "train") & rows.has_input)[0]
    )
    made = examples(write(tmp_path, rows), "soft")
    batches = [batches_of(made, 0, rank, 3)[0] for rank in range(3)]
    weights = [batch.weights_N.tolist() for batch in batches]
    assert sorted(weights) == [[0.0], [0.0], [1.0]]
    assert {batch.sizes for batch in batches} == {tuple(int(w[0]) for w in weights)}


@pytest.mark.parametrize("target", TARGETS)
def test_targets_are_probabilities(workspace: Location, target: str) -> None:
    for batch in batches_of(examples(workspace, target)):
        assert batch.inputs.dtype == np.float16
        assert batch.targets_NK.dtype == np.float32
        assert np.allclose(batch.targets_NK.sum(axis=1), 1, atol=1e-5)
        assert batch.total == len(batch.inputs)


def test_the_order_is_that_of_the_seed_and_the_epoch(workspace: Location) -> None:
    first = seen(batches_of(examples(workspace, "soft")))
    assert seen(batches_of(examples(workspace, "soft"))) == first
    assert seen(batches_of(examples(workspace, "soft"), 1)) != first
    assert seen(batches_of(examples(workspace, "soft", seed=6))) != first


def test_without_a_seed_the_order_is_that_of_the_tables(workspace: Location) -> None:
    found = [image for image, _ in seen(batches_of(examples(workspace, "soft", seed=None)))]
    assert found == sorted(found)


@pytest.mark.parametrize("target", ["soft", "hard"])
def test_unsure_labels_are_left_out(workspace: Location, target: str) -> None:
    rows = draw()
    found = dict(seen(batches_of(examples(workspace, target, threshold=0.6))))
    sure = rows.probabilities.max(axis=1) >= 0.6
    wanted = {i: t for i, t in expected(rows, target, "train").items() if sure[i]}
    assert found == wanted
    assert 0 < len(wanted) < len(expected(rows, target, "train"))


def test_images_without_a_label_may_stay_and_count_nothing(workspace: Location) -> None:
    rows = draw()
    batches = batches_of(examples(workspace, "soft", unlabeled=True, threshold=0.6))
    weights = {int(i[0]): w for b in batches for i, w in zip(b.inputs, b.weights_N, strict=True)}
    here = (rows.split == "train") & rows.has_input
    assert sorted(weights) == np.flatnonzero(here).tolist()
    sure = here & rows.has_label & (rows.probabilities.max(axis=1) >= 0.6)
    assert [i for i, w in sorted(weights.items()) if w > 0] == np.flatnonzero(sure).tolist()


def test_labels_are_smoothed_and_images_weighed(workspace: Location) -> None:
    rows = draw()
    how = {"smoothing": (0.3, "uniform"), "class_weights": (1.0, 2.0, 0.5), "by_confidence": True}
    for batch in batches_of(examples(workspace, "soft", **how)):
        probs = rows.probabilities[batch.inputs[:, 0].astype(int)]
        assert np.allclose(batch.targets_NK, 0.7 * probs + 0.1, atol=1e-6)
        weights = probs @ np.array([1.0, 2.0, 0.5]) * probs.max(axis=1)
        assert np.allclose(batch.weights_N, weights, atol=1e-5)
        assert batch.total == pytest.approx(weights.sum(), rel=1e-5)


def test_hard_labels_count_by_the_confidence_of_the_soft_ones(workspace: Location) -> None:
    rows = draw()
    for batch in batches_of(examples(workspace, "hard", by_confidence=True)):
        confidence = rows.probabilities[batch.inputs[:, 0].astype(int)].max(axis=1)
        assert np.allclose(batch.weights_N, confidence, atol=1e-5)


def test_a_fold_and_its_complement_are_all_images(workspace: Location) -> None:
    folds = np.random.default_rng(3).integers(0, 4, len(SHARDS) * ROWS).astype(np.int16)
    for work in group_works():
        shards = [SHARDS.index(shard) for shard in work.shards]
        tables = [pa.table({"fold": folds[i * ROWS : (i + 1) * ROWS]}) for i in shards]
        Table(workspace, "folds/x").commit(work.name, tables)
    column = Column(workspace, "folds/x", {w.key // 64: w.name for w in group_works()})
    every = dict(seen(batches_of(examples(workspace, "soft"))))
    for fold in range(4):
        held, rest = (
            dict(
                seen(
                    batches_of(examples(workspace, "soft", parts=(Part(column, fold, is_held=h),)))
                )
            )
            for h in (True, False)
        )
        assert held.keys() == {image for image in every if folds[image] == fold}
        assert held | rest == every
        assert not held.keys() & rest.keys()


def test_images_alone_need_no_label(workspace: Location) -> None:
    rows = draw()
    made = examples(workspace, None, labels=None, splits=("train", "test"))
    batches = batches_of(made)
    found = sorted(int(row[0]) for batch in batches for row in batch.inputs)
    assert found == np.flatnonzero((rows.split != "val") & rows.has_input).tolist()
    assert all(batch.targets_NK.shape[1] == 0 for batch in batches)


def same(one: Batch, other: Batch) -> bool:
    return all(
        getattr(one, name).tobytes() == getattr(other, name).tobytes()
        for name in ("inputs", "targets_NK", "weights_N")
    )


@pytest.mark.parametrize("target", ["soft", "hard"])
def test_scrambled_truth_leaves_weak_examples_bit_equal(tmp_path: Path, target: str) -> None:
    places = [write(tmp_path / "honest", draw()), write(tmp_path / "other", draw(truth_seed=77))]
    first, second = (batches_of(examples(place, target)) for place in places)
    assert all(same(a, b) for a, b in zip(first, second, strict=True))
    truths = [dict(seen(batches_of(examples(place, "original")))) for place in places]
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
    first, second = (batches_of(examples(place, "original")) for place in places)
    assert all(same(a, b) for a, b in zip(first, second, strict=True))


HOW = Preprocess(resize=16, crop=12)


def test_thumbnails_become_the_pixels_of_their_images(workspace: Location) -> None:
    inputs = Inputs(workspace, THUMBNAILS, HOW)
    made = examples(workspace, "soft", inputs=inputs, seed=None)
    for _ in range(2):  # decoded, then kept
        batches = batches_of(made)
        pixels = np.concatenate([batch.inputs for batch in batches])
        wanted = list(expected(draw(), "soft", "train"))
        assert pixels.shape == (len(wanted), 12, 12, 3)
        assert pixels.dtype == np.uint8
        assert np.abs(pixels.mean(axis=(1, 2, 3)) - [50 + 2 * image for image in wanted]).max() < 2
        soft = np.concatenate([batch.targets_NK for batch in batches])
        assert np.array_equal(soft, draw().probabilities[wanted])


@pytest.mark.parametrize("most", [1, 3, 32])
def test_pieces_of_shards_are_shuffled_and_every_image_comes_once(
    workspace: Location, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(module, "SHUFFLED_PIECES", most)
    made = examples(workspace, "soft", inputs=Inputs(workspace, THUMBNAILS, HOW))
    wanted = np.flatnonzero([i in expected(draw(), "soft", "train") for i in range(4 * ROWS)])
    for epoch in range(2):
        batches = batches_of(made, epoch)
        brightness = np.concatenate([batch.inputs for batch in batches]).mean(axis=(1, 2, 3))
        images = np.rint((brightness - 50) / 2).astype(int)
        assert np.array_equal(np.sort(images), wanted)
        assert not np.array_equal(images, wanted)
        soft = np.concatenate([batch.targets_NK for batch in batches])
        assert np.array_equal(soft, draw().probabilities[images])
        parts = [batches_of(made, epoch, rank, 2) for rank in range(2)]
        for number, batch in enumerate(batches):
            mine = [m.inputs[m.weights_N > 0] for m in (part[number] for part in parts)]
            assert np.array_equal(np.concatenate(mine), batch.inputs)


def test_what_is_kept_of_images_is_bounded(
    workspace: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = Inputs(workspace, THUMBNAILS, HOW)
    made = examples(workspace, "soft", inputs=inputs)
    monkeypatch.setattr(module, "_kept", {})
    whole = batches_of(made)
    for room in (0, 3, 1000):
        monkeypatch.setattr(module, "KEPT_BYTES", room * 12 * 12 * 3)
        monkeypatch.setattr(module, "_kept", {})
        again = batches_of(made)
        assert all(same(a, b) for a, b in zip(whole, again, strict=True))
        (kept,) = module._kept.values()
        assert len(kept) == min(room, len(expected(draw(), "soft", "train")))


def test_augmentations_are_the_images_own_whoever_makes_them(workspace: Location) -> None:
    augment = Augmentations(rotation=30, brightness=0.5, crop=0.5)
    inputs = Inputs(workspace, THUMBNAILS, HOW)
    made = examples(workspace, "soft", inputs=inputs, augment=augment, views=2)
    whole, parts = batches_of(made), [batches_of(made, 0, rank, 2) for rank in range(2)]
    for number, batch in enumerate(whole):
        mine = [part[number] for part in parts]
        assert np.array_equal(np.concatenate([m.inputs for m in mine]), batch.inputs)
        others = [m.other for m in mine if m.other is not None]
        assert batch.other is not None
        assert np.array_equal(np.concatenate(others), batch.other)
        assert not np.array_equal(batch.other, batch.inputs)
    assert not same(whole[0], batches_of(made, 1)[0])


@pytest.mark.parametrize("change", [{"has_input": False}, {"has_label": False}])
def test_a_split_without_any_example_gives_no_batch(
    tmp_path: Path, change: dict[str, bool]
) -> None:
    rows = draw()
    for name, value in change.items():
        setattr(rows, name, np.full(len(rows.split), value))
    assert batches_of(examples(write(tmp_path, rows), "soft")) == []


def test_a_newer_generation_of_a_shard_is_the_one_read(tmp_path: Path) -> None:
    rows = draw()
    location = write(tmp_path, rows)
    old = Table(location, FEATURE).read(shard_name(1))
    values = np.full((ROWS, DIM), 500, np.float16)
    column = pa.array(list(values), old.schema.field(1).type)
    Table(location, FEATURE).commit(
        shard_name(1, 1), [old.set_column(1, old.schema.field(1), column)]
    )
    known = rows.has_input  # a row with an error stays one
    made = examples(location, "soft", shards=[(0, 0), (1, 1), (2, 0), (64, 0)])
    first = [image for image, _ in seen(batches_of(made))]
    here = slice(ROWS, 2 * ROWS)
    assert first.count(500) == ((rows.split == "train") & rows.has_label & known)[here].sum()
