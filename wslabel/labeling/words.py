"""Match category names to class words by fastText's vectors.

As in the tutorial that this project starts from: the class of the nearest word wins, by squared
Euclidean distance between sentence vectors. A sentence vector averages word vectors scaled to
length one; a class word goes through the same function, as its bare vector has another length.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wslabel.errors import WeightsError
from wslabel.labeling.word_vectors import WordVectors
from wslabel.schema import ABSTAIN


@dataclass(frozen=True)
class CategoryTable:
    """The vote of every category, and by how much its class leads over the next one."""

    votes_C: np.ndarray
    margins_C: np.ndarray


def match(
    categories: Sequence[str], words: Mapping[int, Sequence[str]], path: Path
) -> CategoryTable:
    """Give each category the class of its nearest word; categories without a known word abstain.

    Args:
        categories: names in the order of the classifier's outputs.
        words: Words of each class id.
        path: File of vectors; without subwords an unknown word is the zero vector.

    Raises:
        WeightsError: a class has no word that the vectors know, or the file is none of vectors.
    """
    texts = [_plain(text) for own in (categories, *words.values()) for text in own]
    vectors = WordVectors(path, {word for text in texts for word in text.split()})
    names_CD = np.stack([vectors.sentence(_plain(name)) for name in categories])
    distances_CK = np.stack([_nearest(names_CD, w, vectors) for w in words.values()], axis=1)
    ranked_CK = np.sort(distances_CK, axis=1)
    votes = np.array(list(words), np.int8)[distances_CK.argmin(axis=1)]
    known_C = np.abs(names_CD).sum(axis=1) > 0
    margins = ranked_CK[:, 1] - ranked_CK[:, 0] if len(words) > 1 else np.full(len(votes), np.inf)
    return CategoryTable(np.where(known_C, votes, np.int8(ABSTAIN)), margins)


def _plain(name: str) -> str:
    """Lower the case and drop punctuation, which word vectors would take for parts of words."""
    return " ".join(re.findall(r"[^\W_]+", name.lower()))


def _nearest(names_CD: np.ndarray, words: Sequence[str], vectors: WordVectors) -> np.ndarray:
    found = [vectors.sentence(_plain(word)) for word in words]
    known = [vector for vector in found if np.any(vector)]
    if not known:
        raise WeightsError(f"the word vectors know none of the words {', '.join(words)}")
    differences = names_CD[:, None, :] - np.stack(known)[None]
    return np.asarray((differences**2).sum(axis=2).min(axis=1))
