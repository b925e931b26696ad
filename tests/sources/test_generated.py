"""Drawn scenes are real JPEG files, the same from the same seed, easy and hard ones."""

import io
from collections import Counter
from pathlib import Path
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from tests.conftest import S3Server
from tests.sources.contexts import context
from wslabel.config.base import S3
from wslabel.sources.generated import SHARES, SHOWS, TITLES, GeneratedConfig, jpeg, scene
from wslabel.storage.location import Location


def listed(path: object, s3: S3 | None = None, **more: object) -> pa.Table:
    settings = {"source": "generated", "path": str(path), "count": 40} | more
    return GeneratedConfig.model_validate(settings).list_images(context(s3))


def test_the_same_seed_draws_the_same_files(tmp_path: Path) -> None:
    first, second = listed(tmp_path / "a"), listed(tmp_path / "b")
    assert first.drop(["uri"]).equals(second.drop(["uri"]))
    for uri, other_uri in zip(
        first.column("uri").to_pylist(), second.column("uri").to_pylist(), strict=True
    ):
        assert Path(uri).read_bytes() == Path(other_uri).read_bytes()
    other = listed(tmp_path / "c", seed=1)
    assert other.column("truth").to_pylist() != first.column("truth").to_pylist()


def test_more_images_leave_the_first_ones_alone(tmp_path: Path) -> None:
    few = listed(tmp_path)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.jpg")}
    more = listed(tmp_path, count=50)
    assert more.slice(0, 40).equals(few)
    assert len(list(tmp_path.glob("*.jpg"))) == 50
    assert all(path.stat().st_mtime_ns == before for path, before in times.items())


def test_every_file_is_an_image_of_the_size_asked_for(tmp_path: Path) -> None:
    for uri in listed(tmp_path, size=48).column("uri").to_pylist():
        with Image.open(uri) as image:
            image.load()
            assert (image.format, image.size, image.mode) == ("JPEG", (64, 48), "RGB")


def test_truth_follows_the_names_of_the_classes(tmp_path: Path) -> None:
    listing = listed(tmp_path, classes={"water": "sea", "wood": "jungle"})
    expected = {"sea": "water", "jungle": "wood", None: None}
    kinds = [scene(0, index).kind for index in range(40)]
    assert listing.column("truth").to_pylist() == [expected[SHOWS[kind]] for kind in kinds]


def test_scenes_come_as_often_as_they_should_and_titles_tell_half_of_them() -> None:
    scenes = [scene(3, index) for index in range(4000)]
    counts = Counter(s.kind for s in scenes)
    for kind, share in SHARES.items():
        assert counts[kind] / 4000 == pytest.approx(share, abs=0.03)
    assert 0.05 < sum(s.title is None for s in scenes) / 4000 < 0.15
    titles = [s.title for s in scenes if SHOWS[s.kind] == "sea"]
    assert sum(title in TITLES["sea"] for title in titles) / len(titles) == pytest.approx(
        0.5, abs=0.05
    )
    misled = sum(title in TITLES["jungle"] for title in titles) / len(titles)
    assert misled == pytest.approx(0.07, abs=0.03)


HIGHEST = {"sea": 2, "sunset_sea": 0, "green_lake": 1, "jungle": 1, "sky_jungle": 2}
"""Which of red, green, blue is usually the highest on average."""


@pytest.mark.parametrize("kind", HIGHEST)
def test_hard_cases_fool_the_mean_color(kind: str) -> None:
    channels = []
    for index in range(400):
        if scene(5, index).kind == kind:
            with Image.open(io.BytesIO(jpeg(5, index, 48))) as image:
                channels.append(int(np.asarray(image).mean(axis=(0, 1)).argmax()))
    assert len(channels) > 10
    assert Counter(channels).most_common(1)[0][0] == HIGHEST[kind]


def test_scenes_are_drawn_onto_s3_too(s3_server: S3Server) -> None:
    root, s3 = f"s3://{s3_server.bucket}/{uuid4().hex}", S3(endpoint=s3_server.endpoint)
    uris = listed(root, s3, count=5).column("uri").to_pylist()
    assert uris == [f"{root}/{index:06d}.jpg" for index in range(5)]
    assert Location(root, s3).read("000003.jpg").to_pybytes() == jpeg(0, 3, 96)
