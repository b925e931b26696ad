"""Training sees every labeled image of its split once an epoch, and nothing else."""

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.examples.tables import (
    DIM,
    FEATURE,
    PREPROCESS,
    ROWS,
    TARGETS,
    THUMBNAILS,
    batches_of,
    draw,
    examples,
    expected,
    same,
    seen,
    write,
)
from wslabel import schema
from wslabel.config.optimization import Augmentations
from wslabel.examples import examples as module
from wslabel.examples.decoded_images import DecodedImages
from wslabel.examples.examples import TableExamples
from wslabel.examples.inputs import Inputs
from wslabel.storage.location import Location
from wslabel.storage.table import Table, shard_name


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


def test_the_order_is_that_of_the_seed_and_the_epoch(workspace: Location) -> None:
    first = seen(batches_of(examples(workspace, "soft")))
    assert seen(batches_of(examples(workspace, "soft"))) == first
    assert seen(batches_of(examples(workspace, "soft"), 1)) != first
    assert seen(batches_of(examples(workspace, "soft", seed=6))) != first


def test_without_a_seed_the_order_is_that_of_the_tables(workspace: Location) -> None:
    found = [image for image, _ in seen(batches_of(examples(workspace, "soft", seed=None)))]
    assert found == sorted(found)


def test_thumbnails_become_the_pixels_of_their_images(workspace: Location) -> None:
    inputs = Inputs(workspace, THUMBNAILS, PREPROCESS)
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


def on_thumbnails(workspace: Location, **changes: Any) -> TableExamples:
    return examples(workspace, "soft", inputs=Inputs(workspace, THUMBNAILS, PREPROCESS), **changes)


@pytest.mark.parametrize("batch_size", [1, 4, 7, 100])
@pytest.mark.parametrize("seed", [5, None])
@pytest.mark.parametrize("most", [1, 3, 32])
def test_an_epoch_has_as_few_steps_as_its_images_allow(
    workspace: Location,
    monkeypatch: pytest.MonkeyPatch,
    most: int,
    seed: int | None,
    batch_size: int,
) -> None:
    monkeypatch.setattr(module, "SHUFFLED_PIECES", most)
    made = on_thumbnails(workspace, seed=seed, batch_size=batch_size)
    counts = [batch.count for batch in batches_of(made)]
    num_images = len(expected(draw(), "soft", "train"))
    assert sum(counts) == num_images
    assert len(counts) == -(-num_images // batch_size)
    # However many workers share them.
    parts = [batches_of(made, 0, rank, 3) for rank in range(3)]
    assert [[batch.count for batch in part] for part in parts] == [counts] * 3


@pytest.mark.parametrize("rank_of", [(0, 1), (1, 2)])
@pytest.mark.parametrize("most", [1, 3, 32])
def test_who_goes_on_in_the_middle_of_an_epoch_reads_what_is_left(
    workspace: Location, monkeypatch: pytest.MonkeyPatch, most: int, rank_of: tuple[int, int]
) -> None:
    monkeypatch.setattr(module, "SHUFFLED_PIECES", most)
    made = on_thumbnails(workspace, augment=Augmentations(rotation=30))
    whole = list(made(3, *rank_of))
    read = []
    load = Inputs.load
    monkeypatch.setattr(Inputs, "load", lambda self, *what: read.append(what) or load(self, *what))
    for first in range(len(whole) + 2):
        before = len(read)
        left = list(made(3, *rank_of, first))
        assert len(left) == max(0, len(whole) - first)
        assert all(same(a, b) for a, b in zip(whole[first:], left, strict=True))
    assert len(read) == before  # nothing is loaded of what is left out


@pytest.mark.parametrize("most", [1, 3, 32])
def test_pieces_of_shards_are_shuffled_and_every_image_comes_once(
    workspace: Location, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(module, "SHUFFLED_PIECES", most)
    made = examples(workspace, "soft", inputs=Inputs(workspace, THUMBNAILS, PREPROCESS))
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


def test_what_is_kept_of_images_is_bounded(workspace: Location) -> None:
    made = examples(workspace, "soft", inputs=Inputs(workspace, THUMBNAILS, PREPROCESS))
    whole = batches_of(made)
    for room in (0, 3, 1000):
        decoded = DecodedImages(room * 12 * 12 * 3)
        own = replace(made, decoded=decoded)
        for _ in range(2):  # decoded, then kept
            assert all(same(a, b) for a, b in zip(whole, batches_of(own), strict=True))
        assert len(decoded) == min(room, len(expected(draw(), "soft", "train")))


def test_examples_travel_to_workers_without_decoded_images(workspace: Location) -> None:
    made = examples(workspace, "soft", inputs=Inputs(workspace, THUMBNAILS, PREPROCESS))
    other = examples(workspace, "soft", inputs=made.inputs, seed=None)
    shared = replace(other, decoded=made.decoded)
    whole = batches_of(made)
    assert len(made.decoded) > 0
    first, second = pickle.loads(pickle.dumps((made, shared)))
    assert len(first.decoded) == 0
    assert second.decoded is first.decoded
    assert all(same(a, b) for a, b in zip(whole, batches_of(first), strict=True))


def test_augmentations_are_the_images_own_whoever_makes_them(workspace: Location) -> None:
    augment = Augmentations(rotation=30, brightness=0.5, crop=0.5)
    inputs = Inputs(workspace, THUMBNAILS, PREPROCESS)
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
