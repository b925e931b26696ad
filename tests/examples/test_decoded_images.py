"""Decoded images are kept up to a number of bytes, for one kind of inputs at a time."""

import pickle

import numpy as np

from tests.examples.tables import FEATURE, PREPROCESS, THUMBNAILS, jpeg
from wslabel.config.preprocess import Preprocess
from wslabel.examples.decoded_images import DecodedImages
from wslabel.examples.inputs import Inputs
from wslabel.storage.location import Location

KEYS = [(0, row) for row in range(6)]
ONE = 12 * 12 * 3
"""Bytes of a decoded image."""


def stored(*brightness: int) -> np.ndarray:
    cells = np.empty(len(brightness), object)
    cells[:] = [jpeg(value) for value in brightness]
    return cells


def thumbnails(preprocess: Preprocess = PREPROCESS) -> Inputs:
    return Inputs(Location("nowhere"), THUMBNAILS, preprocess)


def test_what_is_kept_is_not_decoded_again() -> None:
    decoded, garbage = DecodedImages(), np.array([b"no image"] * 3, object)
    first = decoded.decode(thumbnails(), stored(10, 100, 200), KEYS[:3])
    again = decoded.decode(thumbnails(), garbage, KEYS[:3])
    assert np.array_equal(first, again)
    mixed = decoded.decode(thumbnails(), stored(0, 40, 0), [KEYS[2], KEYS[4], KEYS[0]])
    assert np.array_equal(mixed[[0, 2]], first[[2, 0]])
    assert abs(float(mixed[1].mean()) - 40) < 2


def test_the_first_to_come_stay() -> None:
    decoded = DecodedImages(3 * ONE)
    whole = decoded.decode(thumbnails(), stored(10, 20, 30, 40, 50), KEYS[:5])
    assert len(decoded) == 3
    again = decoded.decode(thumbnails(), stored(0, 0, 0, 240, 250), KEYS[:5])
    assert np.array_equal(again[:3], whole[:3])
    assert again[3:].mean() > 200


def test_other_inputs_take_the_place_of_those_before() -> None:
    decoded, other = DecodedImages(), Preprocess(resize=8, crop=6)
    decoded.decode(thumbnails(), stored(10, 20), KEYS[:2])
    assert decoded.decode(thumbnails(other), stored(200), KEYS[:1]).shape == (1, 6, 6, 3)
    assert len(decoded) == 1


def test_embeddings_are_not_kept() -> None:
    decoded, embeddings = DecodedImages(), np.ones((2, 4), np.float16)
    inputs = Inputs(Location("nowhere"), FEATURE)
    assert np.array_equal(decoded.decode(inputs, embeddings, KEYS[:2]), embeddings)
    assert len(decoded) == 0


def test_it_travels_empty_and_with_its_bound() -> None:
    decoded = DecodedImages(2 * ONE)
    decoded.decode(thumbnails(), stored(10, 20), KEYS[:2])
    again = pickle.loads(pickle.dumps(decoded))
    assert len(again) == 0
    again.decode(thumbnails(), stored(10, 20, 30), KEYS[:3])
    assert len(again) == 2
