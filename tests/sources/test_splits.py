"""Drawing is stratified, repeatable, and goes on where it stopped."""

from collections import Counter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import given, settings
from hypothesis import strategies as st

from wslabel.schema import SPLITS
from wslabel.sources.listing import LISTING
from wslabel.sources.splits import count, draw, order

SEEDS = st.integers(-5, 10**6)
TRUTHS = st.lists(st.sampled_from(["sea", "jungle", None]), max_size=60)
PRESET = st.lists(
    st.tuples(st.sampled_from(["sea", "jungle", None]), st.sampled_from([*SPLITS, None, None])),
    max_size=40,
)


def unknown(images: pa.Table, known: pa.ChunkedArray) -> pa.Table:
    is_known = pc.is_in(images.column("image_id"), known.combine_chunks())
    return images.filter(pc.invert(is_known))


@st.composite
def fractions(draw_: st.DrawFn) -> dict[str, float]:
    """Any split that adds up to 1, zeros included."""
    weights = draw_(st.tuples(*[st.integers(0, 20)] * 3).filter(any))
    return {split: w / sum(weights) for split, w in zip(SPLITS, weights, strict=True)}


def listing(rows: list[tuple[str | None, str | None]], start: int = 0) -> pa.Table:
    table: list[dict[str, Any]] = [
        {"image_id": f"i{n}", "uri": f"/i{n}", "truth": truth, "split": split}
        for n, (truth, split) in enumerate(rows, start)
    ]
    return pa.Table.from_pylist(table, schema=LISTING)


def unsplit(truths: list[str | None], start: int = 0) -> pa.Table:
    return listing([(truth, None) for truth in truths], start)


@settings(deadline=None)
@given(PRESET, fractions(), SEEDS)
def test_every_image_is_drawn_once_and_stays_itself(
    rows: list[tuple[str | None, str | None]], parts: dict[str, float], seed: int
) -> None:
    images = listing(rows)
    drawn = draw(images, parts, seed, {})
    assert drawn.schema.equals(LISTING)
    by_id = {row["image_id"]: row for row in drawn.to_pylist()}
    assert len(by_id) == drawn.num_rows == images.num_rows
    for row in images.to_pylist():
        mine = by_id[row["image_id"]]
        assert (mine["uri"], mine["truth"]) == (row["uri"], row["truth"])
        assert mine["split"] in SPLITS
        assert row["split"] in (None, mine["split"])


@settings(deadline=None)
@given(TRUTHS, fractions(), SEEDS, st.integers(0, 60))
def test_every_prefix_is_stratified_to_within_one_image(
    truths: list[str | None], parts: dict[str, float], seed: int, length: int
) -> None:
    prefix = draw(unsplit(truths), parts, seed, {}).slice(0, length)
    counts = count(prefix)
    for truth, total in Counter(prefix.column("truth").to_pylist()).items():
        for split in SPLITS:
            assert abs(counts[truth, split] - parts[split] * total) < 1.0
            if parts[split] == 0.0:
                assert counts[truth, split] == 0


@settings(deadline=None)
@given(TRUTHS, fractions(), SEEDS, st.randoms())
def test_the_order_of_the_listing_does_not_matter(
    truths: list[str | None], parts: dict[str, float], seed: int, random: Any
) -> None:
    images = unsplit(truths)
    shuffled = images.take(pa.array(random.sample(range(len(truths)), len(truths)), pa.int64()))
    assert draw(images, parts, seed, {}).equals(draw(shuffled, parts, seed, {}))


@settings(deadline=None)
@given(PRESET, fractions(), SEEDS, st.integers(0, 40))
def test_a_drawing_that_stopped_goes_on_as_if_it_had_not(
    rows: list[tuple[str | None, str | None]], parts: dict[str, float], seed: int, stop: int
) -> None:
    images = listing(rows)
    whole = draw(images, parts, seed, {})
    kept = whole.slice(0, stop)
    rest = draw(unknown(images, kept.column("image_id")), parts, seed, count(kept))
    assert pa.concat_tables([kept, rest]).combine_chunks().equals(whole.combine_chunks())


@settings(deadline=None)
@given(TRUTHS, TRUTHS, fractions(), SEEDS)
def test_later_images_leave_earlier_ones_alone(
    old: list[str | None], new: list[str | None], parts: dict[str, float], seed: int
) -> None:
    before = draw(unsplit(old), parts, seed, {})
    grown = pa.concat_tables([unsplit(old), unsplit(new, len(old))])
    added = draw(unknown(grown, before.column("image_id")), parts, seed, count(before))
    assert sorted(added.column("image_id").to_pylist()) == sorted(
        unsplit(new, len(old)).column("image_id").to_pylist()
    )
    # Together they are as stratified as if they had come at once.
    together = pa.concat_tables([before, added])
    counts = count(together)
    for truth, total in Counter(together.column("truth").to_pylist()).items():
        assert all(abs(counts[truth, s] - parts[s] * total) < 1.0 for s in SPLITS)


@settings(deadline=None)
@given(PRESET)
def test_counts_are_of_class_and_split(rows: list[tuple[str | None, str | None]]) -> None:
    full = [(truth, split or "test") for truth, split in rows]
    assert count(listing(full)) == Counter(full)


@settings(deadline=None)
@given(st.lists(st.text(max_size=6), unique=True, max_size=30), SEEDS)
def test_an_order_is_a_permutation(ids: list[str], seed: int) -> None:
    assert sorted(order(ids, seed).tolist()) == list(range(len(ids)))
    assert order(ids, seed).tolist() == order(ids, seed).tolist()


@settings(deadline=None)
@given(st.lists(st.text(max_size=6), unique=True, max_size=20), st.text(max_size=6), SEEDS)
def test_an_image_more_leaves_the_order_of_the_others(
    ids: list[str], other: str, seed: int
) -> None:
    more = [*(i for i in ids if i != other), other]
    ordered = [more[n] for n in order(more, seed)]
    without = [i for i in ids if i != other]
    assert [i for i in ordered if i != other] == [without[n] for n in order(without, seed)]


def test_another_seed_gives_another_order() -> None:
    ids = [f"i{n}" for n in range(50)]
    assert order(ids, 0).tolist() != order(ids, 1).tolist()


def test_an_order_is_the_same_on_every_machine() -> None:
    assert [f"i{n}" for n in order([f"i{n}" for n in range(8)], 7)] == [
        "i1",
        "i2",
        "i6",
        "i5",
        "i7",
        "i4",
        "i3",
        "i0",
    ]


def test_splits_are_random_with_respect_to_names() -> None:
    """The first images of a listing do not all end in the same split."""
    drawn = draw(unsplit(["sea"] * 300), {"train": 0.5, "val": 0.0, "test": 0.5}, 3, {})
    early = {row["split"] for row in drawn.to_pylist() if int(row["image_id"][1:]) < 20}
    assert early == {"train", "test"}
