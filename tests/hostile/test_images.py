"""Whatever bytes an image has, it ends in one state: read rightly, or a row with a named error."""

import os
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import write_config
from tests.hostile.damage import damaged, files
from tests.hostile.images import Case, cases
from tests.small import feature
from wslabel import pipeline
from wslabel.features.decode import FORMATS, Undecodable, decode
from wslabel.project.loading import load

CASES = list(cases())
MAX_PIXELS = 50_000_000
POSSIBLE = {"an image", "not_an_image", "too_large"}


def test_there_are_many_and_no_two_alike() -> None:
    assert len(CASES) >= 40
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_an_image_is_read_rightly_or_refused_by_name(case: Case) -> None:
    if case.error is not None:
        with pytest.raises(Undecodable) as caught:
            decode(case.data, MAX_PIXELS)
        assert caught.value.kind == case.error
        return
    pixels = decode(case.data, MAX_PIXELS).pixels_HW3
    assert (pixels.shape[1], pixels.shape[0]) == case.size
    for color, x in ((case.left, 0.25), (case.right, 0.75)):
        if color is not None:
            pixel = pixels[pixels.shape[0] // 2, int(pixels.shape[1] * x)]
            assert np.abs(pixel.astype(int) - color).max() <= 12, (pixel, color)


FEW, MANY = 100, int(os.environ.get("WSLABEL_DAMAGED", "3000"))


def outcomes(kind: str, numbers: range) -> set[str]:
    """Decode damaged files of a format; what is neither an image nor refused is raised."""
    good, found = files(kind), set()
    for number in numbers:
        rng = random.Random(f"{kind} {number}")
        try:
            decoded = decode(damaged(rng.choice(good), rng), 4_000_000)
            assert decoded.pixels_HW3.dtype == np.uint8
            assert decoded.pixels_HW3.shape[2:] == (3,)
            found.add("an image")
        except Undecodable as error:
            found.add(error.kind)
    return found


def test_every_format_is_damaged_that_can_be() -> None:
    for kind in FORMATS:
        assert files(kind)
        for data in files(kind):
            decode(data, MAX_PIXELS)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_damaged_file_is_an_image_or_is_refused_by_name(kind: str) -> None:
    assert {"not_an_image"} <= outcomes(kind, range(FEW)) <= POSSIBLE


@pytest.mark.long
@pytest.mark.parametrize("kind", FORMATS)
def test_many_damaged_files_are_images_or_refused_by_name(kind: str) -> None:
    assert {"an image", "not_an_image"} <= outcomes(kind, range(FEW, MANY)) <= POSSIBLE


@pytest.mark.usefixtures("cluster")
def test_a_folder_of_them_loses_no_row(tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    for case in CASES:
        (folder / case.name).write_bytes(case.data)
    listed = tmp_path / "list.csv"
    listed.write_text("uri\n" + "\n".join(str(folder / case.name) for case in CASES) + "\n")
    config = {
        "workspace": "ws",
        "classes": ["red", "blue"],
        "images": {"source": "table", "path": "list.csv", "shard_size": 16},
        "features": {"color": None, "thumbnail": {"size": 32}},
        "engine": {"max_error_share": 1.0, "max_pixels": MAX_PIXELS},
    }
    project = load(write_config(tmp_path / "p.yaml", config))
    results = {result.stage: result for result in pipeline.run(project)}
    expected = Counter(case.error for case in CASES if case.error)
    assert results["featurize"].errors == dict(expected)
    assert results["featurize"].num_images == len(CASES)
    for name in ("color", "thumbnail"):
        whole = feature(project, name)
        errors = dict(zip(*whole.select(["image_id", "error"]).to_pydict().values(), strict=True))
        assert {Path(k).name: v for k, v in errors.items()} == {c.name: c.error for c in CASES}
