"""Data sets of the library `datasets` are listed, and their images fetched where they lie."""

import importlib.util
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.conftest import S3Server
from tests.sources.contexts import context
from tests.sources.planted import pickled
from tests.sources.test_webdataset import tarred
from wslabel.config.base import S3
from wslabel.config.problems import validated
from wslabel.errors import ConfigError, SourceError
from wslabel.sources import huggingface, pack
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
    monkeypatch.setattr(pack, "PACK", 4000)
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


SECRET = b"[default] aws_secret_access_key = HUSH"


def planted(root: Path, paths: list[str]) -> Path:
    """A data set as strangers make it: its rows name files as they like."""
    root.mkdir(parents=True, exist_ok=True)
    features = datasets.Features({"image": datasets.Image(), "caption": datasets.Value("string")})
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    images = [{"bytes": None, "path": path} for path in paths]
    images.append({"bytes": jpeg((1, 2, 3)), "path": None})
    table = pa.table({"image": pa.array(images, kind), "caption": ["c"] * len(images)})
    info = {"info": {"features": features.to_dict()}}
    table = table.replace_schema_metadata({"huggingface": json.dumps(info)})
    pq.write_table(table, root / "train-00000-of-00001.parquet")
    return root


def everything(place: Location) -> bytes:
    return b"".join(place.read(e.path).to_pybytes() for e in place.files("", recursive=True))


class TestStrangers:
    @pytest.fixture
    def private(self, tmp_path: Path) -> Path:
        (tmp_path / "private").mkdir()
        (tmp_path / "private" / "credentials").write_bytes(SECRET)
        (tmp_path / "private" / "me.jpg").write_bytes(jpeg((9, 9, 9)))
        return tmp_path / "private"

    def test_rows_that_name_other_files_are_left_out_and_counted(
        self, tmp_path: Path, private: Path
    ) -> None:
        root, place = tmp_path / "hub", Location(str(tmp_path / "workspace"))
        paths = [
            *(f"{private}/credentials", f"{root}/../private/me.jpg", "../private/me.jpg"),
            *(f"file://{private}/me.jpg", f"{root}-other/x.jpg", f"{root}/link.jpg", "a\0b"),
            *(f"{root}/folder/me.jpg", str(root)),
        ]
        planted(root, paths)
        (root / "link.jpg").symlink_to(private / "me.jpg")
        (root / "folder").symlink_to(private)
        made = context(workspace=place)
        settings = HuggingFaceConfig(source="huggingface", dataset=str(root), metadata=["caption"])
        rows = settings.list_images(made).to_pylist()
        assert [Fetcher(S3())(row["uri"]) for row in rows] == [jpeg((1, 2, 3))]
        assert made.skipped == {huggingface.ELSEWHERE: len(paths)}
        assert b"HUSH" not in everything(place)
        assert jpeg((9, 9, 9)) not in everything(place)

    def test_rows_may_name_files_of_the_data_set(self, tmp_path: Path) -> None:
        root = tmp_path / "hub"
        planted(root, ["img/a.jpg", f"{root}/img/../img/b.jpg", f"{root}/img/c.jpg"])
        place = Location(str(tmp_path / "workspace"))
        rows = listed(root, place)
        assert [row["image_id"] for row in rows[:3]] == ["img/a.jpg", "img/b.jpg", "img/c.jpg"]
        assert [row["uri"] for row in rows[:3]] == [f"{root}/img/{name}.jpg" for name in "abc"]

    def test_a_data_set_may_be_reached_by_a_link(self, tmp_path: Path) -> None:
        image_folder(tmp_path / "photos")
        (tmp_path / "latest").symlink_to("photos")
        rows = listed(tmp_path / "latest", Location(str(tmp_path / "workspace")))
        assert rows[0]["image_id"] == "coast/0.jpg"
        assert rows[0]["uri"] == f"{tmp_path}/latest/coast/0.jpg"

    def test_links_are_followed_where_asked_for(self, tmp_path: Path, private: Path) -> None:
        root = tmp_path / "photos"
        root.mkdir()
        (root / "1.jpg").write_bytes(jpeg((1, 2, 3)))
        (root / "2.jpg").symlink_to(private / "me.jpg")
        place = Location(str(tmp_path / "workspace"))
        with pytest.raises(SourceError, match=r"names '.*2\.jpg', which lies outside of it \(foll"):
            listed(root, place)
        rows = listed(root, place, follow_links=True)
        assert sorted(row["image_id"] for row in rows) == ["1.jpg", "2.jpg"]

    @pytest.mark.parametrize(
        "pattern", ["../private/*.jpg", "{private}/*.jpg", "file://{private}/*.jpg"]
    )
    def test_a_card_names_files_of_the_data_set_alone(
        self, tmp_path: Path, private: Path, pattern: str
    ) -> None:
        root = tmp_path / "hub"
        root.mkdir()
        files = pattern.format(private=private)
        card = (
            f"configs:\n- config_name: default\n  data_files:\n  - split: train\n    path: {files}"
        )
        (root / "README.md").write_text(f"---\n{card}\n---\n")
        with pytest.raises(SourceError, match=r"me\.jpg', which lies outside of it; nothing was"):
            listed(root, Location(str(tmp_path / "workspace")))

    def test_what_lies_in_a_cache_is_packed_if_it_is_an_image(
        self, tmp_path: Path, private: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cache = tmp_path / "hub-cache" / "datasets--user--data"
        cache.mkdir(parents=True)
        (cache / "a.jpg").write_bytes(jpeg((4, 5, 6)))
        (cache / "token.jpg").write_bytes(SECRET)
        (cache / "link.jpg").symlink_to(private / "me.jpg")
        names = ["a.jpg", "token.jpg", "link.jpg", "none.jpg", "../datasets--user--data2/b.jpg"]
        root = planted(tmp_path / "hub", [*(f"{cache}/{name}" for name in names), "a.jpg"])
        rows = datasets.load_dataset(str(root), split="train")
        opened = huggingface._Rows(datasets, rows, (str(cache),))
        monkeypatch.setattr(huggingface, "_open", lambda *_: opened)
        place = Location(str(tmp_path / "workspace"))
        made = context(workspace=place)
        settings = HuggingFaceConfig(source="huggingface", dataset="user/data")
        listing = settings.list_images(made).to_pylist()
        images = [Fetcher(S3())(row["uri"]) for row in listing]
        assert images == [jpeg((4, 5, 6)), jpeg((1, 2, 3))]
        counts = {huggingface.ELSEWHERE: 3, huggingface.ABSENT: 1, huggingface.NO_IMAGE: 1}
        assert made.skipped == counts
        assert b"HUSH" not in everything(place)

    @pytest.mark.parametrize("dataset", ["data", "user/data"])
    def test_a_card_on_the_hub_names_files_of_its_data_set_alone(self, dataset: str) -> None:
        """Another data set would be read with the token of whoever runs this."""
        settings = HuggingFaceConfig(source="huggingface", dataset=dataset)
        top = f"hf://datasets/{dataset}@abc"
        files = [f"{top}/x.jpg", f"{top}/x/y..z.parquet", f"{top.upper().replace('HF', 'hf')}/x"]
        huggingface._refuse_elsewhere(settings, files, "x")
        for file in (
            *("hf://datasets/victim/private@abc/x.parquet", "hf://datasets/data/private@abc/x"),
            *(f"hf://datasets/{dataset}-private@abc/x", f"hf://datasets/{dataset}/private@abc/x"),
            *(f"{top}/../../victim/private/x", f"{top}/%2e%2e/%2e%2e/victim/private/x"),
            *("/etc/x.jpg", "https://10.0.0.1/x", "hf://buckets/a/b/c", "zip://a::/b"),
            *(f"zip://a::{top}/x.zip", f"hf://{dataset}@abc/x"),
        ):
            with pytest.raises(SourceError, match="lies outside of it; nothing was read"):
                huggingface._refuse_elsewhere(settings, [file], "x")

    def test_a_file_that_becomes_a_link_is_not_read(self, tmp_path: Path, private: Path) -> None:
        files = huggingface._Files(
            HuggingFaceConfig(source="huggingface", dataset="user/data"), (str(tmp_path / "cache"),)
        )
        (tmp_path / "cache").mkdir()
        (tmp_path / "cache" / "a.jpg").write_bytes(jpeg((1, 2, 3)))
        assert files.read(f"{tmp_path}/cache/a.jpg") == jpeg((1, 2, 3))
        (tmp_path / "cache" / "a.jpg").unlink()
        (tmp_path / "cache" / "a.jpg").symlink_to(private / "me.jpg")
        with pytest.raises(huggingface._LeftOut, match=huggingface.ELSEWHERE):
            files.read(f"{tmp_path}/cache/a.jpg")

    def test_no_code_of_a_data_set_runs(self, tmp_path: Path) -> None:
        witness, place = tmp_path / "ran", Location(str(tmp_path / "workspace"))
        code = f"open({str(witness)!r}, 'w').close()\n"
        root = image_folder(tmp_path / "photos")
        for name in ("photos.py", "datasets.py", "setup.py", "__init__.py", "sitecustomize.py"):
            (root / name).write_text(code)
        for name in ("data.pkl", "data.pickle", "data.pth", "data.pt"):
            (root / name).write_bytes(pickled(witness))
        with pytest.raises(SourceError, match=r"scripts are no longer supported"):
            listed(root, place)
        (root / "photos.py").unlink()
        assert len(listed(root, place)) == 6
        (tmp_path / "pickles").mkdir()
        (tmp_path / "pickles" / "train.pkl").write_bytes(pickled(witness))
        tar = tarred({"0.jpg": jpeg((1, 2, 3)), "0.pyd": pickled(witness), "0.cls": b"1"})
        for name, data in (("train.tar", tar), ("train-pth.tar", tar)):
            (tmp_path / name.removesuffix(".tar")).mkdir()
            (tmp_path / name.removesuffix(".tar") / name).write_bytes(data)
        torch_tar = tarred({"0.jpg": jpeg((1, 2, 3)), "0.pth": pickled(witness)})
        (tmp_path / "train-pth" / "train-pth.tar").write_bytes(torch_tar)
        listed(tmp_path / "train", place, image="jpg")
        for name in ("pickles", "train-pth"):
            with pytest.raises(SourceError):
                listed(tmp_path / name, place, image="jpg")
        assert not witness.exists()

    def test_a_column_that_says_it_holds_images_is_not_decoded(self, tmp_path: Path) -> None:
        root = tmp_path / "hub"
        planted(root, [])
        features = datasets.Features({"image": datasets.Image(), "caption": datasets.Image()})
        table = pq.read_table(root / "train-00000-of-00001.parquet")
        kind = table.schema.field("image").type
        caption = pa.array([{"bytes": b"%!PS-Adobe", "path": "/etc/x.eps"}], kind)
        table = table.set_column(1, "caption", caption)
        info = {"info": {"features": features.to_dict()}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(info)})
        pq.write_table(table, root / "train-00000-of-00001.parquet")
        rows = listed(root, Location(str(tmp_path / "workspace")), metadata=["caption"])
        assert "PS-Adobe" in rows[0]["caption"]

    def test_a_card_that_confuses_the_library_is_told(self, tmp_path: Path) -> None:
        root = image_folder(tmp_path / "photos")
        card = "dataset_info:\n  features:\n  - name: image\n    dtype:\n      any: 1"
        (root / "README.md").write_text(f"---\n{card}\n---\n")
        with pytest.raises(SourceError, match="TypeError"):
            listed(root, Location(str(tmp_path / "workspace")))
