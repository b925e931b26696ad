"""What is costly to list is listed once, and again when it has changed; what is drawn stays."""

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.conftest import S3Server, paint, tiny_config, write_config
from tests.faults.s3_proxy import stripped
from tests.open_images import JUNGLE, SEA, Release
from tests.sources.test_huggingface import image_folder, jpeg
from tests.sources.test_webdataset import tarred
from wslabel.config.base import S3
from wslabel.errors import ConfigError, SourceError, StorageError
from wslabel.project.loading import load
from wslabel.project.project import Project
from wslabel.sources.fetch import Fetcher, Unfetchable
from wslabel.sources.webdataset import WebDatasetConfig
from wslabel.stages import ingest
from wslabel.storage.table import shard_name
from wslabel.workspace.workspace import Workspace

HUB_NAME = "listed-73823c94e300"
VERIFIED_NAME = "listed-a72b15ccc307"


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
    result = ingest.run(Workspace(project(tmp_path, **moved)))
    assert (result.num_known, result.num_images, result.num_renamed) == (0, 2, 1)
    with pytest.raises(ConfigError, match=r"images\.seed: this workspace was drawn with 0, found"):
        ingest.run(Workspace(project(tmp_path, **settings, seed=1)))


def test_every_image_that_was_found_is_accounted_for(tmp_path: Path) -> None:
    names = [f"DSC_{n:04d}.jpg" for n in range(10)]
    for day in ("monday", "tuesday"):
        for index, name in enumerate(names):
            paint(tmp_path / day / name, "sea", index)
    (tmp_path / "tuesday" / "notes.txt").write_text("rain")
    (tmp_path / "tuesday" / "LICENSE").write_text("free")
    first = ingest.run(Workspace(project(tmp_path, source="folder", path="monday")))
    assert first.notes == ("10 images listed: 0 known, 10 new",)
    both = project(tmp_path, source="folder", path="tuesday")
    assert ingest.run(Workspace(both)).notes == (
        "10 images listed: 0 known, 10 new",
        "10 of the new ones have the path of a known image in another folder; their uri is "
        "their id",
        "left out: 1 ending in '.txt', 1 without an ending",
    )
    uris = manifest(both).column("uri").to_pylist()
    assert sorted(uris) == [str(tmp_path / d / n) for d in ("monday", "tuesday") for n in names]
    assert ingest.run(Workspace(both)).notes[0] == "10 images listed: 10 known, 0 new"


def test_a_file_that_changed_is_told(tmp_path: Path) -> None:
    folder = photos(tmp_path, "a.jpg", "b.jpg")
    made = project(tmp_path, source="folder", path="photos")
    ingest.run(Workspace(made))
    (folder / "b.jpg").write_bytes(b"other bytes")
    result = ingest.run(Workspace(made))
    assert result.changed == ("b.jpg",)
    assert "1 known images have another size or time of change" in result.notes[1]


def test_a_store_that_replaces_what_is_there_is_refused(
    tmp_path: Path, s3_server: S3Server
) -> None:
    photos(tmp_path, "a.jpg")
    with stripped(s3_server.endpoint) as endpoint:
        config = tiny_config(tmp_path) | {
            "workspace": f"s3://{s3_server.bucket}/{uuid4().hex}",
            "s3": {"endpoint": endpoint},
            "images": {"source": "folder", "path": "photos"},
        }
        made = load(write_config(tmp_path / "p.yaml", config))
        with pytest.raises(StorageError, match="this store replaces an object"):
            ingest.run(Workspace(made))
        assert Workspace(made).location.files("", recursive=True) == []


def test_a_key_that_came_later_was_drawn_as_its_default(tmp_path: Path) -> None:
    photos(tmp_path, "a.jpg")
    made = project(tmp_path, source="folder", path="photos", shard_size=512)
    ingest.run(Workspace(made))
    path = tmp_path / "ws" / "images" / shard_name(0)
    rows = pq.read_table(path)
    drawn = json.loads(rows.schema.metadata[ingest.DRAWING])
    for key in ("shard_size", "split", "other_folders"):
        del drawn[key]
    path.unlink()
    pq.write_table(rows.replace_schema_metadata({ingest.DRAWING: json.dumps(drawn)}), path)
    assert ingest.run(Workspace(made)).num_known == 1


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
