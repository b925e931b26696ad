"""What is costly to list is listed once, and again when it has changed; what is drawn stays."""

import json
from pathlib import Path
from typing import Any

import boto3
import datasets
import pyarrow as pa
import pytest

from tests.conftest import S3Server, paint, tiny_config, write_config
from tests.open_images import JUNGLE, SEA, Release
from tests.sources.test_huggingface import image_folder, jpeg
from tests.sources.test_webdataset import tarred
from wslabel.config.base import S3
from wslabel.errors import ConfigError, SourceError
from wslabel.project.loading import load
from wslabel.project.project import Project
from wslabel.sources.fetch import Fetcher, Unfetchable
from wslabel.sources.webdataset import WebDatasetConfig
from wslabel.stages import ingest
from wslabel.storage.table import shard_name
from wslabel.workspace.workspace import Workspace

HUB_NAME = "listed-c5e6b26e18e7"
VERIFIED_NAME = "listed-d39ce51eea8d"


def project(folder: Path, **images: Any) -> Project:
    config = tiny_config(folder) | {"images": {"shard_size": 8} | images}
    return load(write_config(folder / "p.yaml", config))


def manifest(made: Project) -> pa.Table:
    workspace = Workspace(made)
    return pa.concat_tables(workspace.images.read(shard_name(s)) for s in workspace.shards)


def fetched(made: Project) -> list[str | None]:
    """Fetch every image of the manifest as a worker does; give what kinds of errors there are."""
    fetch = Fetcher(made.images.s3 or made.s3)
    return [_error(fetch, uri) for uri in manifest(made).column("uri").to_pylist()]


def _error(fetch: Fetcher, uri: str) -> str | None:
    try:
        fetch(uri)
    except Unfetchable as error:
        return error.kind
    return None


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def photos(folder: Path, *names: str) -> Path:
    for index, name in enumerate(names):
        paint(folder / "photos" / name, "sea", index)
    return folder / "photos"


def test_new_images_make_new_shards_and_the_others_stay(tmp_path: Path) -> None:
    names = [f"coast/{index:02d}.jpg" for index in range(10)]
    photos(tmp_path, *names)
    settings = {"source": "folder", "path": "photos", "classes": {"sea": "coast"}}
    growing = project(tmp_path, **settings)
    result = ingest.run(Workspace(growing))
    assert (result.stage, result.made, result.total, result.num_images) == ("ingest", 2, 2, 10)
    assert result.seconds > 0
    first = manifest(growing)
    again = ingest.run(Workspace(growing))
    assert (again.made, again.total, again.num_images) == (0, 2, 0)
    photos(tmp_path, "coast/more.jpg")
    more = ingest.run(Workspace(growing))
    assert (more.made, more.total, more.num_images) == (1, 3, 1)
    assert manifest(growing).slice(0, 10).equals(first)


def test_what_decides_the_draw_stays_and_where_images_are_may_change(tmp_path: Path) -> None:
    photos(tmp_path, "coast/a.jpg", "coast/b.jpg")
    (tmp_path / "copy").mkdir()
    settings = {"source": "folder", "path": "photos", "extensions": [".jpg"]}
    ingest.run(Workspace(project(tmp_path, **settings)))
    photos(tmp_path / "copy", "coast/a.jpg", "coast/c.png")
    moved = settings | {"path": "copy/photos", "extensions": [".jpg", ".png"]}
    assert ingest.run(Workspace(project(tmp_path, **moved))).num_images == 1
    with pytest.raises(ConfigError, match=r"images\.seed: this workspace was drawn with 0, found"):
        ingest.run(Workspace(project(tmp_path, **settings, seed=1)))


def test_a_driver_that_another_one_outran_draws_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos(tmp_path, "coast/a.jpg", "coast/b.jpg")
    shared = project(tmp_path, source="folder", path="photos")
    commit_new = ingest.commit_new

    def late(workspace: Workspace, new: pa.Table) -> int | None:
        monkeypatch.setattr(ingest, "commit_new", commit_new)
        photos(tmp_path, "coast/a.jpg", "coast/b.jpg", "coast/c.jpg")
        assert ingest.run(Workspace(shared)).num_images == 3
        return commit_new(workspace, new)

    monkeypatch.setattr(ingest, "commit_new", late)
    result = ingest.run(Workspace(shared))
    assert (result.made, result.total, result.num_images) == (0, 1, 0)
    assert manifest(shared).num_rows == 3


def test_a_truth_that_is_no_class_is_refused(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("uri,class\n/a.jpg,Sea\n")
    with pytest.raises(SourceError, match=r"'Sea' stands as the truth .* did you mean 'sea'"):
        ingest.run(Workspace(project(tmp_path, source="table", path="list.csv", truth="class")))


def test_workspaces_made_long_ago_are_known(tmp_path: Path) -> None:
    """Names of constants and what footers say must never change for the same settings."""
    hub = {"source": "huggingface", "dataset": "user/name", "subset": "s", "revision": "r"}
    verified = {"source": "openimages", "classes": {"jungle": ["Jungle", "forest"], "sea": "SEA"}}
    assert ingest.listing_name(project(tmp_path, **hub, shard_size=512)) == HUB_NAME
    assert ingest.listing_name(project(tmp_path, **verified, shard_size=512)) == VERIFIED_NAME
    photos(tmp_path, "coast/a.jpg")
    drawn = project(tmp_path, source="folder", path="photos", classes={"sea": "coast"})
    assert ingest.listing_name(drawn) is None
    ingest.run(Workspace(drawn))
    footer = Workspace(drawn).images.footer(shard_name(0))
    assert footer.metadata[ingest.DRAWING].decode() == json.dumps(
        {
            "classes": {"sea": "coast"},
            "other_folders": "skip",
            "seed": 0,
            "shard_size": 8,
            "source": "folder",
            "split": {"test": 0.2, "train": 0.7, "val": 0.1},
        }
    )


def test_tar_files_are_gone_through_once_and_new_ones_add_their_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards = tmp_path / "shards"
    shards.mkdir()
    (shards / "a.tar").write_bytes(tarred({f"{i}.jpg": jpeg((i, 9, 9)) for i in range(12)}))
    tars = project(tmp_path, source="webdataset", path="shards")
    assert ingest.run(Workspace(tars)).num_images == 12
    assert fetched(tars) == [None] * 12
    with monkeypatch.context() as patch:
        patch.setattr(
            WebDatasetConfig, "list_images", lambda *_: pytest.fail("the tar files were read again")
        )
        assert ingest.run(Workspace(tars)).made == 0
    (shards / "b.tar").write_bytes(tarred({f"{i}.jpg": jpeg((9, i, 9)) for i in range(3)}))
    again = ingest.run(Workspace(tars))
    (shards / "a.tar").write_bytes(tarred({f"{i}.jpg": jpeg((i, 9, 9), 40) for i in range(12)}))
    with pytest.raises(SourceError, match=r"'a\.tar/\d+' lies elsewhere in its file now"):
        ingest.run(Workspace(tars))
    assert (again.made, again.total, again.num_images) == (1, 3, 3)


def test_a_local_data_set_grows(tmp_path: Path) -> None:
    root = image_folder(tmp_path / "photos")
    local = project(
        tmp_path, source="huggingface", dataset="photos", truth="label", classes={"sea": "coast"}
    )
    assert ingest.run(Workspace(local)).num_images == 6
    assert ingest.run(Workspace(local)).num_images == 0
    (root / "coast" / "new.jpg").write_bytes(jpeg((1, 2, 3)))
    assert ingest.run(Workspace(local)).num_images == 1


def test_open_images_are_fetched_from_a_bucket_laid_out_as_theirs(
    tmp_path: Path, s3_server: S3Server
) -> None:
    images = {"train": [f"{i:016x}" for i in range(8)], "test": [f"{i:016x}" for i in range(8, 12)]}
    client = boto3.client("s3", endpoint_url=s3_server.endpoint)
    for split, ids in images.items():
        for image in ids[1:]:  # the first of each was taken down
            target = {"Bucket": s3_server.bucket, "Key": f"oi/{split}/{image}.jpg"}
            client.put_object(**target, Body=jpeg((20, 60, 200)), ACL="public-read")
    labels = {
        split: [(image, SEA if n % 2 else JUNGLE, 1) for n, image in enumerate(ids)]
        for split, ids in images.items()
    }
    settings = Release(tmp_path / "oi", labels).write() | {"own_splits": True}
    settings |= {"images": f"s3://{s3_server.bucket}/oi"}
    settings |= {"classes": {"sea": "sea", "jungle": "jungle"}}
    settings |= {"s3": {"endpoint": s3_server.endpoint, "anonymous": True}}
    verified = project(tmp_path, **settings)
    assert verified.s3 == S3()
    assert ingest.run(Workspace(verified)).num_images == 12
    errors = fetched(verified)
    assert (len(errors), errors.count("missing"), errors.count(None)) == (12, 2, 10)
