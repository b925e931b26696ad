"""Open Images' own files become a listing: verified classes, caps, splits, titles."""

import gzip
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import S3Server
from tests.open_images import CAT, FOREST, JUNGLE, OCEAN, SEA, Release, image_metadata
from tests.sources.contexts import context
from wslabel.config.base import S3
from wslabel.errors import SourceError
from wslabel.sources.openimages import OpenImagesConfig
from wslabel.storage.location import Location

CLASSES = {"jungle": ["Jungle", "forest"], "sea": "SEA"}
LABELS = {
    "train": [("a1", SEA, 1), ("a2", JUNGLE, 1), ("a2", SEA, 0), ("a3", SEA, 0)],
    "validation": [
        ("b1", FOREST, 1),
        ("b1", JUNGLE, 1),
        ("b3", CAT, 0),
        ("b2", SEA, 1),
        ("b2", FOREST, 1),
    ],
    "test": [("c1", SEA, 1), ("c2", OCEAN, 1), ("c1", FOREST, 0), ("c1", JUNGLE, 0)],
}


def listing(
    files: dict[str, Any], s3: S3 | None = None, **more: Any
) -> tuple[dict[str, list[Any]], list[str]]:
    told: list[str] = []
    settings = OpenImagesConfig.model_validate({"classes": CLASSES} | files | more)
    return settings.list_images(context(s3, tell=told.append)).to_pydict(), told


@pytest.fixture(params=[True, False], ids=["header", "no header"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    return Release(tmp_path / "oi", LABELS, has_header=request.param).write()


def test_images_verified_to_show_just_one_class_are_listed(files: dict[str, Any]) -> None:
    listed, told = listing(files)
    assert listed["image_id"] == ["a1", "a2", "b1", "c1"]
    assert listed["truth"] == ["sea", "jungle", "jungle", "sea"]
    assert listed["split"] == [None] * 4
    assert listed["truth_absent"] == [[], ["sea"], [], ["jungle"]]
    root = "s3://open-images-dataset"
    assert listed["uri"] == [
        *(f"{root}/train/a1.jpg", f"{root}/train/a2.jpg"),
        *(f"{root}/validation/b1.jpg", f"{root}/test/c1.jpg"),
    ]
    assert told == ["openimages: dropped 1 images that are verified to show two classes"]


def test_the_data_sets_own_splits_are_kept_where_asked_for(files: dict[str, Any]) -> None:
    assert listing(files, own_splits=True)[0]["split"] == ["train", "train", "val", "test"]


def test_fewer_splits_are_read_where_fewer_are_named(files: dict[str, Any]) -> None:
    del files["labels"]["validation"], files["labels"]["test"]
    assert listing(files)[0]["image_id"] == ["a1", "a2"]


def test_an_unknown_class_names_the_nearest(files: dict[str, Any]) -> None:
    with pytest.raises(SourceError) as caught:
        listing(files, classes={"sea": "Seaa", "jungle": "Jungle"})
    wanted = "images.classes.sea: Open Images has no class 'Seaa'; did you mean 'Sea'?"
    assert str(caught.value) == wanted


def test_a_class_that_is_not_trainable_is_refused(tmp_path: Path) -> None:
    files = Release(tmp_path / "oi", LABELS, not_trainable=(FOREST,)).write()
    with pytest.raises(
        SourceError, match=r"does not list 'forest' \(/m/02zr8\) among its trainable"
    ):
        listing(files)
    assert listing(files | {"trainable_classes": None})[0]["image_id"][2] == "b1"


def test_a_class_without_any_image_is_told(files: dict[str, Any]) -> None:
    with pytest.raises(SourceError, match="no image is verified to show 'other' alone"):
        listing(files, classes={"sea": "Sea", "jungle": "Jungle", "other": "Cat"})


def test_a_cap_takes_the_same_sample_whatever_the_order_of_lines(tmp_path: Path) -> None:
    labels = [(f"i{n:03d}", SEA if n % 2 else JUNGLE, 1) for n in range(200)]
    forward = Release(tmp_path / "forward", {"train": labels}).write()
    backward = Release(tmp_path / "backward", {"train": labels[::-1]}).write()
    listed, _ = listing(forward, max_per_class=20)
    assert (listed["truth"].count("sea"), listed["truth"].count("jungle")) == (20, 20)
    assert listing(backward, max_per_class=20)[0]["image_id"] == listed["image_id"]
    assert set(listed["image_id"]) < set(listing(forward, max_per_class=30)[0]["image_id"])
    assert set(listing(forward, max_per_class=20, seed=1)[0]["image_id"]) != set(listed["image_id"])


def test_titles_come_from_the_image_metadata(files: dict[str, Any], tmp_path: Path) -> None:
    titles = {"a1": 'The "sea", at dawn', "zz": "not ours", "b1": "Trees", "c1": ""}
    path = image_metadata(tmp_path / "images.csv", titles)
    listed, _ = listing(
        files, metadata=["Title"], image_metadata=dict.fromkeys(files["labels"], path)
    )
    assert listed["Title"] == ['The "sea", at dawn', None, "Trees", ""]
    with pytest.raises(SourceError, match=r"images\.csv: expected columns ImageID, Titel"):
        listing(files, metadata=["Titel"], image_metadata=dict.fromkeys(files["labels"], path))


def test_a_confidence_that_is_no_number_is_told(files: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(f"ImageID,LabelName,Confidence\n7a,{SEA},yes\n")
    says = "image '7a' has the Confidence 'yes'; expected a number from 0 to 1"
    with pytest.raises(SourceError, match=says):
        listing(files | {"labels": {"train": str(path)}})


def test_a_class_list_without_lines_has_no_class(files: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "none.csv").write_bytes(b"\r")
    with pytest.raises(SourceError, match=r"has no class '\w+'; none is valid here"):
        listing(files | {"class_descriptions": str(tmp_path / "none.csv")})


@pytest.mark.parametrize("key", ["class_descriptions", "trainable_classes"])
def test_a_missing_file_is_told(files: dict[str, Any], key: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"none\.csv: there is no such file"):
        listing(files | {key: str(tmp_path / "none.csv")})


def test_a_file_of_another_format_is_told(files: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("image,label\n1,2\n")
    with pytest.raises(SourceError, match="expected columns ImageID, LabelName, Confidence"):
        listing(files | {"labels": {"train": str(tmp_path / "x.csv")}})


def test_files_are_read_from_s3_and_packed_ones_unpacked(
    files: dict[str, Any], s3_server: S3Server, tmp_path: Path
) -> None:
    place = Location(f"s3://{s3_server.bucket}/{tmp_path.name}", S3(endpoint=s3_server.endpoint))
    remote: dict[str, Any] = dict(files)
    for key in ("class_descriptions", "trainable_classes"):
        name = Path(files[key]).name
        place.create(name, Path(files[key]).read_bytes())
        remote[key] = place.uri(name)
    remote["labels"] = {}
    for split, path in files["labels"].items():
        place.create(f"{split}.csv.gz", gzip.compress(Path(path).read_bytes()))
        remote["labels"][split] = place.uri(f"{split}.csv.gz")
    assert listing(remote, place.s3)[0] == listing(files)[0]


def test_files_are_read_from_the_web(files: dict[str, Any], tmp_path: Path) -> None:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Be quiet."""

    serve = partial(Quiet, directory=str(tmp_path / "oi"))
    with ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        web = f"http://127.0.0.1:{server.server_port}"
        remote = files | {
            k: f"{web}/{Path(files[k]).name}" for k in ("class_descriptions", "trainable_classes")
        }
        remote["labels"] = {s: f"{web}/{Path(p).name}" for s, p in files["labels"].items()}
        try:
            assert listing(remote)[0] == listing(files)[0]
            with pytest.raises(SourceError, match="there is no such file"):
                listing(remote | {"class_descriptions": f"{web}/none.csv"})
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.real
def test_classes_are_found_in_the_real_list(real: Path, tmp_path: Path) -> None:
    files = Release(tmp_path / "oi", LABELS).write()
    files |= {"class_descriptions": str(real / "oidv6-class-descriptions.csv")}
    listed, _ = listing(files)
    assert listed["image_id"] == ["a1", "a2", "b1", "c1"]
    with pytest.raises(SourceError, match=r"has no class 'Sprengers tulip'; .*Sprenger's tulip"):
        listing(files, classes={"tulip": "Sprengers tulip", "sea": "Sea"})


@pytest.mark.parametrize("image", ["../../private/me", "/etc/x", "a1#bytes=0-5", ""])
def test_an_id_that_would_lead_elsewhere_is_refused(tmp_path: Path, image: str) -> None:
    files = Release(tmp_path / "oi", {"train": [("a1", SEA, 1), (image, JUNGLE, 1)]}).write()
    with pytest.raises(SourceError, match=r"ImageID '.*': expected only letters, digits"):
        listing(files, images=str(tmp_path / "images"))


def test_a_list_of_classes_that_unpacks_to_more_than_one_is_refused(
    files: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "classes.csv.gz"
    with gzip.open(path, "wb", compresslevel=1) as stream:
        for _ in range(80):
            stream.write(b"/m/0,Sea\n" * 2**17)
    with pytest.raises(SourceError, match=r"classes\.csv\.gz: has more than 67,108,864 bytes"):
        listing(files | {"class_descriptions": str(path)})
