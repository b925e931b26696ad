"""The bytes of an image become values and inputs of networks, or a named error."""

import sys
from pathlib import Path

import numpy as np

from tests.stages.featurize.bad_kinds import FailsConfig, OutOfMemoryConfig, ReadsFileConfig
from wslabel.config.preprocess import Preprocess
from wslabel.features.color import ColorConfig
from wslabel.features.decode import decode
from wslabel.features.decoder import Decoder
from wslabel.features.resize import prepare
from wslabel.features.thumbnail import ThumbnailConfig
from wslabel.stages.featurize.prepare import ImagePreparer, PreparedImage

COLOR, THUMBNAIL = ColorConfig(kind="color"), ThumbnailConfig(kind="thumbnail", size=16)
PREPROCESS = Preprocess(resize=20, crop=16, mean=(0.1, 0.2, 0.3))
DECODER = Decoder(10_000, 60.0)
PREPARER = ImagePreparer((("c", COLOR), ("t", THUMBNAIL)), (PREPROCESS,), DECODER)


def test_an_image_is_decoded_once_for_all_features(scenes: Path) -> None:
    data = (scenes / "coast" / "c00.jpg").read_bytes()
    image, decoded = PREPARER(data), decode(data, 10_000)
    assert image.error is None
    assert image.values == {"c": COLOR.compute(decoded), "t": THUMBNAIL.compute(decoded)}
    (pixels,) = image.inputs
    assert np.array_equal(pixels, prepare(decoded, PREPROCESS))


def test_what_cannot_be_fetched_or_decoded_has_an_error_and_nothing_else(scenes: Path) -> None:
    assert PREPARER("missing") == PreparedImage("missing")
    assert PREPARER(b"no image") == PreparedImage("not_an_image")
    data = (scenes / "coast" / "c00.jpg").read_bytes()
    small = ImagePreparer((), (), Decoder(100, 60.0))
    assert small(data) == PreparedImage("too_large")


def test_what_a_feature_raises_is_a_failure_of_the_feature_and_of_no_image(scenes: Path) -> None:
    data = (scenes / "coast" / "c00.jpg").read_bytes()
    fails = ImagePreparer((("c", COLOR), ("f", FailsConfig(kind="fails"))), (), DECODER)
    assert fails(data) == PreparedImage(
        failure="feature f raised ZeroDivisionError: division by zero"
    )
    assert fails(b"no image") == PreparedImage("not_an_image")


def test_an_image_for_which_memory_is_too_small_is_too_large(scenes: Path) -> None:
    data = (scenes / "coast" / "c00.jpg").read_bytes()
    greedy = ImagePreparer((("g", OutOfMemoryConfig(kind="greedy")),), (), DECODER)
    assert greedy(data) == PreparedImage("too_large")


def test_the_code_of_a_feature_may_do_what_code_may(scenes: Path) -> None:
    data = (scenes / "coast" / "c00.jpg").read_bytes()
    assert DECODER.weakness == "" or sys.platform != "linux"
    reads = ImagePreparer((("r", ReadsFileConfig(kind="reads_file")),), (), DECODER)
    assert reads(data).values["r"][0] > 0
