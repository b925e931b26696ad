"""Category names find their class through word vectors, as in the tutorial."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wslabel.errors import WeightsError
from wslabel.labeling import words
from wslabel.labeling.word_vectors import WordVectors
from wslabel.schema import ABSTAIN

SEA, JUNGLE = 1, 0
WORDS = {SEA: ["sea", "ocean", "boat"], JUNGLE: ["forest", "tree"]}


@pytest.fixture(scope="module")
def vectors(networks: Any) -> Path:
    path: Path = networks.words
    return path


def length(path: Path, name: str, word: str) -> float:
    """Squared Euclidean distance, spelled out."""
    vectors = WordVectors(path, [*name.split(), *word.split()])
    a, b = vectors.sentence(name), vectors.sentence(word)
    return sum((float(x) - float(y)) ** 2 for x, y in zip(a, b, strict=True))


def test_a_category_gets_the_class_of_its_words(vectors: Path) -> None:
    table = words.match(
        ["seashore, coast", "rain forest", "fishing boat", "oak tree"], WORDS, vectors
    )
    assert table.votes_C.tolist() == [SEA, JUNGLE, SEA, JUNGLE]
    assert table.votes_C.dtype == np.int8


def test_the_nearest_word_wins_by_squared_distance(vectors: Path) -> None:
    names = ["water", "green", "boat tree", "rain sea", "jungle blue coast"]
    table = words.match(names, WORDS, vectors)
    for name, vote, margin in zip(names, table.votes_C, table.margins_C, strict=True):
        nearest = {k: min(length(vectors, name, w) for w in ws) for k, ws in WORDS.items()}
        assert vote == min(nearest, key=nearest.__getitem__)
        assert margin == pytest.approx(abs(nearest[SEA] - nearest[JUNGLE]), rel=1e-4, abs=1e-6)


def test_a_category_that_is_a_class_word_lies_at_no_distance(vectors: Path) -> None:
    table = words.match(["Ocean"], WORDS, vectors)
    other = min(length(vectors, "ocean", w) for w in WORDS[JUNGLE])
    assert table.margins_C[0] == pytest.approx(other, rel=1e-5)


def test_an_unknown_category_abstains(vectors: Path) -> None:
    table = words.match(["toaster", "sea", "xyzzy plugh"], WORDS, vectors)
    assert table.votes_C.tolist() == [ABSTAIN, SEA, ABSTAIN]


def test_case_and_punctuation_do_not_matter(vectors: Path) -> None:
    plain, odd = words.match(["rain forest", "Rain_FOREST!"], WORDS, vectors).margins_C
    assert plain == odd


def test_the_order_of_classes_does_not_matter(vectors: Path) -> None:
    names = ["coast", "oak", "water", "toaster"]
    forward = words.match(names, WORDS, vectors)
    backward = words.match(names, dict(reversed(WORDS.items())), vectors)
    assert forward.votes_C.tolist() == backward.votes_C.tolist()
    assert forward.margins_C.tolist() == backward.margins_C.tolist()


def test_a_single_class_leads_by_all(vectors: Path) -> None:
    table = words.match(["coast", "toaster"], {SEA: ["sea"]}, vectors)
    assert table.votes_C.tolist() == [SEA, ABSTAIN]
    assert np.isinf(table.margins_C).all()


def test_unknown_class_words_are_left_out(vectors: Path) -> None:
    with_unknown = {SEA: ["sea", "xyzzy"], JUNGLE: ["forest"]}
    without = {SEA: ["sea"], JUNGLE: ["forest"]}
    names = ["coast", "oak"]
    found = [words.match(names, w, vectors).margins_C.tolist() for w in (with_unknown, without)]
    assert found[0] == found[1]


def test_a_class_without_a_known_word_is_refused(vectors: Path) -> None:
    with pytest.raises(WeightsError, match="know none of the words xyzzy, plugh"):
        words.match(["coast"], {SEA: ["sea"], JUNGLE: ["xyzzy", "plugh"]}, vectors)


def test_a_file_of_another_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "vectors.bin"
    path.write_text("2 2\nsea 1 0\nforest 0 1\n")
    with pytest.raises(WeightsError, match=r"vectors\.bin: expected fastText's binary format"):
        words.match(["coast"], WORDS, path)
