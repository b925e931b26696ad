"""Inputs are what the tables hold of an image: an embedding, or the pixels of its thumbnail."""

import io

import numpy as np
import pytest
from PIL import Image

from tests.examples.tables import FEATURE, PREPROCESS, ROWS, THUMBNAILS, draw
from wslabel.errors import StorageError
from wslabel.examples.inputs import Inputs
from wslabel.features.thumbnail import ThumbnailConfig
from wslabel.storage.location import Location
from wslabel.storage.table import PIECES


def test_embeddings_are_read_of_those_images_that_have_one(workspace: Location) -> None:
    rows, inputs = draw(), Inputs(workspace, FEATURE)
    values_ND, known_N = inputs.read(1, 0)
    here = slice(ROWS, 2 * ROWS)
    assert known_N.tolist() == rows.has_input[here].tolist()
    assert np.array_equal(values_ND, rows.embedding[here][known_N])
    assert inputs.pieces == 1


def test_thumbnails_become_pixels(workspace: Location) -> None:
    inputs = Inputs(workspace, THUMBNAILS, PREPROCESS)
    pixels_NHW3, known_N = inputs.read(0, 0)
    assert pixels_NHW3.shape == (known_N.sum(), 12, 12, 3)
    brightness = 50 + 2 * np.flatnonzero(known_N)
    assert np.abs(pixels_NHW3.mean(axis=(1, 2, 3)) - brightness).max() < 2
    assert inputs.pieces == PIECES


def encoded(kind: str, size: tuple[int, int] = (64, 64)) -> np.ndarray:
    sink = io.BytesIO()
    Image.new("RGB", size).save(sink, kind)
    cells = np.empty(1, object)
    cells[0] = sink.getvalue()
    return cells


@pytest.mark.parametrize("kind", ["TIFF", "JPEG2000", "AVIF", "WEBP", "PNG", "GIF", "BMP", "PPM"])
def test_what_others_planted_as_a_thumbnail_is_not_decoded(workspace: Location, kind: str) -> None:
    """They are decoded where a network is trained, without a sandbox."""
    inputs = Inputs(workspace, THUMBNAILS, PREPROCESS)
    assert inputs.decode(encoded("JPEG")).shape == (1, 12, 12, 3)
    says = f"{THUMBNAILS}: a thumbnail is not as wslabel writes it, .*none of JPEG"
    with pytest.raises(StorageError, match=says):
        inputs.decode(encoded(kind))


def test_no_thumbnail_has_more_pixels_than_the_feature_makes(workspace: Location) -> None:
    most = ThumbnailConfig(kind="thumbnail", size=16).max_pixels
    inputs = Inputs(workspace, THUMBNAILS, PREPROCESS, most)
    assert inputs.decode(encoded("JPEG", (65_500, 16))).shape == (1, 12, 12, 3)
    with pytest.raises(StorageError, match="too_large: 65500 x 17 pixels"):
        inputs.decode(encoded("JPEG", (65_500, 17)))


def test_some_rows_are_loaded_alone(workspace: Location) -> None:
    whole = Inputs(workspace, FEATURE).load(2, 0, slice(0, ROWS))
    part = Inputs(workspace, FEATURE).load(2, 0, slice(3, 7))
    assert np.array_equal(part, whole[3:7], equal_nan=True)


def test_inputs_are_the_same_in_another_process(workspace: Location) -> None:
    again = Location(workspace.root)
    assert Inputs(again, FEATURE).identity == Inputs(workspace, FEATURE).identity
    assert Inputs(again, FEATURE).identity != Inputs(again, THUMBNAILS, PREPROCESS).identity
