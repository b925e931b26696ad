"""The applier votes image by image, and a labeling function that fails is named, never abstains."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wslabel.errors import LabelingFunctionError
from wslabel.labeling.applier import LFApplier
from wslabel.labeling.category import CategoryLF
from wslabel.labeling.color import ColorLF
from wslabel.labeling.labeling_function import LabelingFunction
from wslabel.labeling.python import PythonLF
from wslabel.labeling.similarity import PromptsLF, ThresholdLF
from wslabel.schema import RESERVED

Batch = dict[str, np.ndarray]


def python(name: str, function: Callable[..., Any], *, by_row: bool = False) -> PythonLF:
    return PythonLF(name=name, function=function, columns={"year": "year"}, by_row=by_row)


def applier(*functions: Any) -> LFApplier:
    return LFApplier(functions, 3)


def batch(size: int, seed: int = 0) -> Batch:
    rng = np.random.default_rng(seed)
    embeddings = rng.normal(size=(size, 4))
    embeddings[rng.random(size) < 0.2] = np.nan
    ids = rng.integers(-1, 3, (size, 2)).astype(np.int16)
    return {
        "image_id": np.array([f"image-{n}" for n in range(size)], object),
        "year": rng.integers(1990, 2000, size),
        "c.mean_blue": rng.random(size),
        "c.mean_green": rng.random(size),
        "c.mean_red": np.where(rng.random(size) < 0.1, np.nan, rng.random(size)),
        "net.category_ids": ids,
        "net.category_probabilities": np.where(ids < 0, np.nan, 0.5).astype(np.float32),
        "clip.embedding": embeddings.astype(np.float16),
    }


def everyone() -> LFApplier:
    vectors = np.eye(4, dtype=np.float32)
    return applier(
        PromptsLF(
            name="near",
            feature="clip",
            vectors_PD=vectors[:2],
            classes_P=np.array([0, 1]),
            margin=0.1,
        ),
        python("old", lambda c: np.where(c["year"] < 1995, 2, -1)),
        ColorLF(name="color", feature="c", statistic="mean", classes=(1, 0, -1)),
        CategoryLF(
            name="names", feature="net", votes_C=np.array([0, -1, 2], np.int8), min_probability=0.2
        ),
        ThresholdLF(
            name="far",
            feature="clip",
            vectors_PD=vectors[2:3],
            above=0.3,
            below=None,
            over=2,
            under=0,
        ),
        python("row", lambda row: row.year % 3, by_row=True),
    )


def test_votes_stand_in_the_order_of_the_functions() -> None:
    images = batch(50)
    votes_NM = everyone()(images)
    assert votes_NM.shape == (50, 6)
    assert votes_NM.dtype == np.int8
    for index, function in enumerate(everyone().functions):
        assert votes_NM[:, index].tolist() == function(images).tolist()


class Curious(LabelingFunction):
    """A kind of somebody's own, which looks at all that it is given."""

    reads: tuple[str, ...] = ()

    def __init__(self, *reads: str) -> None:
        self.name, self.reads, self.given = "curious", reads, []  # type: ignore[var-annotated]

    def __call__(self, batch: Any) -> np.ndarray:
        self.given.append(sorted(batch))
        return np.zeros(len(batch[self.reads[0]]), int)


def test_a_function_is_given_what_it_reads_and_nothing_else() -> None:
    curious = Curious("year", "c.mean_red")
    LFApplier([*everyone().functions, curious], 3)(batch(5))
    assert curious.given == [["c.mean_red", "year"]]


@pytest.mark.parametrize("column", sorted(RESERVED))
def test_no_kind_of_function_may_read_what_may_tell_the_class(column: str) -> None:
    with pytest.raises(LabelingFunctionError, match=f"function curious: must not see '{column}'"):
        applier(Curious("year", column))


def test_a_column_that_is_called_like_the_cosines_of_another_function_stays_what_it_is() -> None:
    far = next(function for function in everyone().functions if function.name == "far")
    images = batch(5)
    images |= {"far.cosines": images["year"]}
    same = PythonLF(
        name="same", function=lambda c: c["x"] % 3, columns={"x": "far.cosines"}, by_row=False
    )
    assert applier(far, same)(images)[:, 1].tolist() == (images["year"] % 3).tolist()


def test_each_column_is_read_once() -> None:
    reads = everyone().reads
    assert len(set(reads)) == len(reads)
    assert set(reads) == set(batch(1)) - {"image_id"}


@settings(deadline=None, max_examples=40)
@given(size=st.integers(1, 30), seed=st.integers(0, 2**32))
def test_permuted_images_give_permuted_votes(size: int, seed: int) -> None:
    images = batch(size, seed)
    order = np.random.default_rng(seed).permutation(size)
    shuffled = {name: column[order] for name, column in images.items()}
    assert np.array_equal(everyone()(shuffled), everyone()(images)[order])


@settings(deadline=None, max_examples=40)
@given(size=st.integers(2, 30), cut=st.integers(1, 29))
def test_images_vote_alike_in_whatever_batches(size: int, cut: int) -> None:
    images = batch(size)
    cut = min(cut, size - 1)
    parts = [
        everyone()({name: column[part] for name, column in images.items()})
        for part in (slice(0, cut), slice(cut, None))
    ]
    assert np.array_equal(np.concatenate(parts), everyone()(images))


def picky(columns: Batch) -> np.ndarray:
    if 7 in columns["year"]:
        raise ZeroDivisionError("no such year")
    return np.zeros(len(columns["year"]), int)


def picky_row(row: Any) -> int:
    if row.year == 7:
        raise ZeroDivisionError("no such year")
    return 0


@pytest.mark.parametrize("by_row", [False, True])
def test_a_function_that_raises_names_itself_and_the_image(by_row: bool) -> None:
    function = python("picky", picky_row if by_row else picky, by_row=by_row)
    expected = "labeling function picky raised on image 'image-7': ZeroDivisionError: no such year"
    with pytest.raises(LabelingFunctionError, match=expected) as caught:
        applier(function)(batch(20) | {"year": np.arange(20)})
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_function_that_fails_on_batches_only_is_blamed_on_the_first_image() -> None:
    def together(columns: Batch) -> np.ndarray:
        if len(columns["year"]) > 1:
            raise RuntimeError("too many")
        return np.zeros(1, int)

    with pytest.raises(LabelingFunctionError, match=r"raised on image 'image-0'.*too many"):
        applier(python("together", together))(batch(5))


def test_a_built_in_function_that_fails_is_named_too() -> None:
    short = CategoryLF(
        name="names", feature="net", votes_C=np.array([0], np.int8), min_probability=0.0
    )
    with pytest.raises(LabelingFunctionError, match="names raised on image"):
        applier(short)(batch(30))


@pytest.mark.parametrize(
    ("column", "told"),
    [
        (np.zeros(3, int), r"int64 of shape \(3,\)"),
        (np.zeros((4, 1), int), r"int64 of shape \(4, 1\)"),
        (np.zeros(4), r"float64 of shape \(4,\)"),
        (np.zeros(4, bool), "bool"),
        (np.array(["1"] * 4), "<U1"),
        (7, r"of shape \(\)"),
        (None, "object"),
    ],
)
def test_what_is_no_column_of_integers_is_refused(column: object, told: str) -> None:
    with pytest.raises(LabelingFunctionError, match=f"function odd: expected 4 integers.*{told}"):
        applier(python("odd", lambda _: column))(batch(4))


@pytest.mark.parametrize("vote", [-2, 3, 127, 300])
def test_a_vote_out_of_range_names_the_image(vote: int) -> None:
    votes = np.array([0, 1, vote, -1])
    expected = f"odd: voted {vote} on image 'image-2'; expected -1 to 2"
    with pytest.raises(LabelingFunctionError, match=expected):
        applier(python("odd", lambda _: votes))(batch(4))


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint64])
def test_any_kind_of_integer_will_do(dtype: type[np.integer[Any]]) -> None:
    votes = applier(python("fine", lambda _: np.array([0, 1, 2, 2], dtype)))(batch(4))
    assert votes[:, 0].tolist() == [0, 1, 2, 2]
