"""All features of all images, each image once; what fails costs a row or stops the job."""

from pathlib import Path

import pyarrow as pa
import pytest

from tests.conftest import tiny_config
from tests.kill.runs import finish, start
from tests.small import feature, made, small_project
from wslabel.errors import ConfigError, SourceError, TooManyErrors
from wslabel.stages import ingest
from wslabel.stages.featurize import featurize
from wslabel.workspace.workspace import Workspace

pytestmark = pytest.mark.usefixtures("cluster")


def test_too_many_errors_stop_the_job_before_anything_of_the_shard_is_kept(
    photos: Path, tmp_path: Path
) -> None:
    for path in photos.rglob("*.jpg"):
        path.write_bytes(b"")
    project = small_project(tmp_path, photos, engine={"max_error_share": 0.5})
    ingest.run(Workspace(project))
    with pytest.raises(TooManyErrors, match=r"8 of 8 images failed \(not_an_image 8\)"):
        featurize.run(Workspace(project))
    assert Workspace(project).generations == {"color": {}}


def test_an_image_that_kills_the_decoder_costs_one_row(photos: Path, tmp_path: Path) -> None:
    good = (photos / "coast" / "c05.jpg").read_bytes()
    (photos / "coast" / "c05.jpg").write_bytes(good + b"POISON")
    project = small_project(tmp_path, photos)
    finish(start(tmp_path / "p.yaml", WSLABEL_POISON="1"))
    table = feature(project)
    failed = table.filter(pa.compute.is_valid(table.column("error")))
    assert failed.select(["image_id", "error"]).to_pylist() == [
        {"image_id": "coast/c05.jpg", "error": "crashed"}
    ]
    assert table.num_rows == 60


@pytest.mark.long
def test_a_decode_that_does_not_end_costs_one_row(photos: Path, tmp_path: Path) -> None:
    for name, kind in (("c05", b"ENDLESS"), ("c06", b"POISON")):
        path = photos / "coast" / f"{name}.jpg"
        path.write_bytes(path.read_bytes() + kind)
    images = tiny_config(photos)["images"] | {"shard_size": 60}
    engine = {"actors": 1, "decode_timeout_s": 3}
    project = small_project(tmp_path, photos, images=images, engine=engine)
    finish(start(tmp_path / "p.yaml", WSLABEL_POISON="1"))
    errors = feature(project).filter(pa.compute.field("error").is_valid())
    assert errors.select(["image_id", "error"]).sort_by("image_id").to_pylist() == [
        {"image_id": "coast/c05.jpg", "error": "timed_out"},
        {"image_id": "coast/c06.jpg", "error": "crashed"},
    ]
    assert feature(project).num_rows == 60
    good = (photos / "coast" / "c04.jpg").read_bytes()
    (photos / "coast" / "c05.jpg").write_bytes(good)
    assert made(project, until="featurize", retry=["timed_out"])["featurize"] == 1
    assert feature(project).column("error").drop_null().to_pylist() == ["crashed"]


def test_an_unknown_error_kind_is_refused(scenes: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no error kind 'mising'; did you mean 'missing'"):
        featurize.run(Workspace(small_project(tmp_path, scenes)), ["mising"])


def test_before_there_are_images_it_says_what_comes_first(scenes: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no images yet"):
        featurize.run(Workspace(small_project(tmp_path, scenes)))
