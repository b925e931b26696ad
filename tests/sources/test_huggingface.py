"""Data sets of the library `datasets` are listed, and their images fetched where they lie."""

import importlib.util
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import datasets
import pytest
from PIL import Image

from tests.conftest import S3Server
from tests.sources.contexts import context
from wslabel.config.base import S3
from wslabel.config.problems import validated
from wslabel.errors import ConfigError, SourceError
from wslabel.sources import huggingface
from wslabel.sources.fetch import Fetcher
from wslabel.sources.huggingface import HuggingFaceConfig
from wslabel.storage.location import Location

COLORS = {"coast": (20, 60, 200), "forest": (20, 160, 30)}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.fixture(params=["disk", "s3"])
def workspace(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Location]:
    if request.param == "disk":
        yield Location(str(tmp_path / "workspace"))
        return
    server: S3Server = request.getfixturevalue("s3_server")
    yield Location(f"s3://{server.bucket}/{uuid4().hex}", S3(endpoint=server.endpoint))


def jpeg(color: tuple[int, int, int], size: int = 16) -> bytes:
    sink = io.BytesIO()
    Image.new("RGB", (size, size), color).save(sink, "JPEG")
    return sink.getvalue()


def image_folder(root: Path) -> Path:
    for name, color in COLORS.items():
        (root / name).mkdir(parents=True)
        for index in range(3):
            (root / name / f"{index}.jpg").write_bytes(jpeg(color, 16 + index))
    return root


def parquet_folder(root: Path, images: list[bytes | None]) -> Path:
    """A data set as it comes from the hub: images in Parquet, a class label, a caption."""
    features = datasets.Features(
        {
            "image": datasets.Image(),
            "label": datasets.ClassLabel(names=["coast", "forest"]),
            "caption": datasets.Value("string"),
            "number": datasets.Value("int64"),
        }
    )
    rows = {
        "image": [None if data is None else {"bytes": data, "path": "x.jpg"} for data in images],
        "label": [index % 3 - 1 for index in range(len(images))],
        "caption": [None if index == 1 else f"photo {index}" for index in range(len(images))],
        "number": list(range(len(images))),
    }
    (root / "data").mkdir(parents=True)
    made = datasets.Dataset.from_dict(rows, features=features)
    made.to_parquet(root / "data" / "train-00000-of-00001.parquet")
    return root


def listed(dataset: Path, workspace: Location, **more: Any) -> list[dict[str, Any]]:
    settings = {"source": "huggingface", "dataset": str(dataset)} | more
    listing = HuggingFaceConfig.model_validate(settings).list_images(context(workspace=workspace))
    rows: list[dict[str, Any]] = listing.to_pylist()
    return rows


def test_an_image_folder_is_read_where_it_lies(tmp_path: Path, workspace: Location) -> None:
    root = image_folder(tmp_path / "photos")
    rows = listed(root, workspace, truth="label", classes={"sea": "coast"})
    names = [f"{name}/{index}.jpg" for name in COLORS for index in range(3)]
    assert sorted(row["image_id"] for row in rows) == names
    assert {row["truth"] for row in rows if row["image_id"] in names[:3]} == {"sea"}
    assert {row["truth"] for row in rows if row["image_id"] in names[3:]} == {None}
    assert all(row["uri"] == str(root / row["image_id"]) for row in rows)
    assert workspace.files("packed") == []


def test_images_in_parquet_are_packed_once_and_fetched_by_range(
    tmp_path: Path, workspace: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface, "PACK", 4000)
    images = [jpeg((10 * index, 60, 200), 32 + index) for index in range(14)]
    root = parquet_folder(tmp_path / "hub", images)
    settings: dict[str, Any] = {"truth": "label", "metadata": ["caption", "number"]}
    settings |= {"splits": {"train": "train"}}
    rows = listed(root, workspace, **settings)
    fetch = Fetcher(workspace.s3)
    assert [fetch(row["uri"]) for row in rows] == images
    assert len({row["image_id"] for row in rows}) == len(rows)
    assert all(row["image_id"].startswith("train/") for row in rows)
    assert [row["truth"] for row in rows[:3]] == [None, "coast", "forest"]
    assert [row["caption"] for row in rows[:3]] == ["photo 0", None, "photo 2"]
    assert {row["split"] for row in rows} == {"train"}
    packed = workspace.files("packed")
    assert len(packed) > 2
    # A part that a killed ingest did not write is written again, the others are left alone.
    workspace.delete(f"packed/{packed[1].path}")
    assert listed(root, workspace, **settings) == rows
    again = workspace.files("packed")
    assert [e.path for e in again] == [e.path for e in packed]
    assert again[0] == packed[0]
    assert [fetch(row["uri"]) for row in rows] == images


def test_images_keep_their_ids_wherever_a_data_set_grows(tmp_path: Path) -> None:
    old, new = [jpeg((1, 2, 3)), jpeg((4, 5, 6)), jpeg((1, 2, 3))], jpeg((7, 8, 9))
    place = Location(str(tmp_path / "workspace"))
    first = [row["image_id"] for row in listed(parquet_folder(tmp_path / "a", old), place)]
    second = [row["image_id"] for row in listed(parquet_folder(tmp_path / "b", [new, *old]), place)]
    assert second[1:] == first
    assert first[2] == f"{first[0]}-2"


def test_ids_may_come_from_a_column(tmp_path: Path) -> None:
    root = parquet_folder(tmp_path / "hub", [jpeg((1, 2, 3)), jpeg((4, 5, 6))])
    rows = listed(root, Location(str(tmp_path / "workspace")), image_id="number")
    assert [row["image_id"] for row in rows] == ["0", "1"]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"image": "picture"}, "there is no column 'picture'; .*image"),
        ({"truth": "lable"}, "there is no column 'lable'; did you mean 'label'"),
        ({"image": "caption"}, "the column 'caption' holds no images"),
        ({"splits": {"valid": "val"}}, 'valid: Unknown split "valid"'),
        ({"subset": "large"}, "large"),
        ({"dataset": "/nowhere/at/all"}, "/nowhere/at/all"),
    ],
)
def test_what_is_not_there_is_refused(tmp_path: Path, more: dict[str, Any], says: str) -> None:
    root = parquet_folder(tmp_path / "hub", [jpeg((1, 2, 3))])
    with pytest.raises(SourceError, match=says):
        listed(Path(more.pop("dataset", root)), Location(str(tmp_path / "workspace")), **more)


def test_a_row_without_an_image_is_refused(tmp_path: Path) -> None:
    root = parquet_folder(tmp_path / "hub", [jpeg((1, 2, 3)), None])
    with pytest.raises(SourceError, match=r"row 1 \(from 0\) has no uri"):
        listed(root, Location(str(tmp_path / "workspace")))


def test_an_absent_library_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(
        SourceError, match=r"datasets is not installed; pip install 'wslabel\[huggingface\]'"
    ):
        listed(tmp_path, Location(str(tmp_path / "workspace")))


def test_a_folder_is_listed_anew_when_its_files_change(tmp_path: Path) -> None:
    root = image_folder(tmp_path / "photos")
    settings = HuggingFaceConfig(source="huggingface", dataset=str(root))
    before = settings.listing_state(S3())
    assert settings.listing_state(S3()) == before
    (root / "coast" / "new.jpg").write_bytes(jpeg((1, 2, 3)))
    assert settings.listing_state(S3()) != before
    assert HuggingFaceConfig(source="huggingface", dataset="user/data").listing_state(S3()) == []


def test_a_name_on_the_hub_is_no_path_and_a_path_must_be_there(tmp_path: Path) -> None:
    def dataset(name: str) -> str:
        file = tmp_path / "p.yaml"
        section = {"source": "huggingface", "dataset": name}
        return validated(HuggingFaceConfig, section, file, tmp_path).dataset

    assert dataset("user/data") == "user/data"
    (tmp_path / "user" / "data").mkdir(parents=True)
    assert dataset("user/data") == str(tmp_path / "user" / "data")
    with pytest.raises(ConfigError, match=r"dataset: there is no file '.*photo'"):
        dataset("./photo")
    with pytest.raises(ConfigError, match="expected a path or s3://"):
        dataset("https://host/data")
