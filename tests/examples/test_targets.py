"""Targets are what the settings make of truth or weak labels, and truth is locked away."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.examples.tables import (
    CLASSES,
    ROWS,
    SHARDS,
    TARGETS,
    batches_of,
    draw,
    examples,
    expected,
    known,
    label_groups,
    same,
    seen,
    targets_of,
    write,
)
from wslabel.storage.location import Location
from wslabel.storage.table import Table
from wslabel.workspace.shard_reader import FoldPart, ShardReader


@pytest.mark.parametrize("target", TARGETS)
def test_targets_are_probabilities(workspace: Location, target: str) -> None:
    batches = list(batches_of(examples(workspace, target)))
    assert batches
    for batch in batches:
        assert batch.inputs.dtype == np.float16
        assert batch.targets_NK.dtype == np.float32
        assert np.allclose(batch.targets_NK.sum(axis=1), 1, atol=1e-5)
        assert batch.total == len(batch.inputs)


@pytest.mark.parametrize("target", ["soft", "hard"])
def test_unsure_labels_are_left_out(workspace: Location, target: str) -> None:
    rows = draw()
    found = dict(seen(batches_of(examples(workspace, target, confidence_threshold=0.6))))
    sure = rows.probabilities.max(axis=1) >= 0.6
    wanted = {i: t for i, t in expected(rows, target, "train").items() if sure[i]}
    assert found == wanted
    assert 0 < len(wanted) < len(expected(rows, target, "train"))


def test_images_without_a_label_may_stay_and_count_nothing(workspace: Location) -> None:
    rows = draw()
    batches = batches_of(examples(workspace, "soft", unlabeled=True, confidence_threshold=0.6))
    weights = {int(i[0]): w for b in batches for i, w in zip(b.inputs, b.weights_N, strict=True)}
    here = (rows.split == "train") & rows.has_input
    assert sorted(weights) == np.flatnonzero(here).tolist()
    sure = here & rows.has_label & (rows.probabilities.max(axis=1) >= 0.6)
    assert [i for i, w in sorted(weights.items()) if w > 0] == np.flatnonzero(sure).tolist()


def test_labels_are_smoothed_and_images_weighed(workspace: Location) -> None:
    rows = draw()
    treated = {"smoothing": (0.3, "uniform"), "class_weights": (1.0, 2.0, 0.5)}
    batches = list(batches_of(examples(workspace, "soft", **treated, by_confidence=True)))
    assert batches
    for batch in batches:
        probs = rows.probabilities[batch.inputs[:, 0].astype(int)]
        assert np.allclose(batch.targets_NK, 0.7 * probs + 0.1, atol=1e-6)
        weights = probs @ np.array([1.0, 2.0, 0.5]) * probs.max(axis=1)
        assert np.allclose(batch.weights_N, weights, atol=1e-5)
        assert batch.total == pytest.approx(weights.sum(), rel=1e-5)


def test_hard_labels_count_by_the_confidence_of_the_soft_ones(workspace: Location) -> None:
    rows = draw()
    batches = list(batches_of(examples(workspace, "hard", by_confidence=True)))
    assert batches
    for batch in batches:
        confidence = rows.probabilities[batch.inputs[:, 0].astype(int)].max(axis=1)
        assert np.allclose(batch.weights_N, confidence, atol=1e-5)


def test_a_fold_and_its_complement_are_all_images(workspace: Location) -> None:
    folds = np.random.default_rng(3).integers(0, 4, len(SHARDS) * ROWS).astype(np.int16)
    for group in label_groups():
        shards = [SHARDS.index(shard) for shard in group.shards]
        rows = [range(i * ROWS, (i + 1) * ROWS) for i in shards]
        tables = [
            pa.table({"image_id": [f"image-{i}" for i in own], "fold": folds[own]}) for own in rows
        ]
        Table(workspace, "folds/x").commit(group.name, tables)
    column = ShardReader(workspace, "folds/x", {g.key // 64: g.name for g in label_groups()})
    every = dict(seen(batches_of(examples(workspace, "soft"))))
    for fold in range(4):
        held, rest = (
            dict(
                seen(
                    batches_of(
                        examples(workspace, "soft", parts=(FoldPart(column, fold, is_held=h),))
                    )
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


@pytest.mark.parametrize("target", TARGETS)
def test_a_shard_is_read_with_all_its_rows(workspace: Location, target: str) -> None:
    rows = draw()
    own = targets_of(workspace, target).read(workspace, 1)
    here = slice(ROWS, 2 * ROWS)
    assert own.targets_NK.shape == (ROWS, len(CLASSES))
    chosen = (rows.split == "train") & known(rows, target)
    assert own.is_chosen_N.tolist() == chosen[here].tolist()
    assert (own.weights_N > 0).tolist() == known(rows, target)[here].tolist()
