"""What is costly to list is listed once, and again when it has changed."""

from pathlib import Path
from typing import Any

import boto3
import datasets
import pytest

from tests.conftest import S3Server, tiny_config, write_config
from tests.open_images import JUNGLE, SEA, Release
from tests.sources.test_huggingface import image_folder, jpeg
from tests.sources.test_webdataset import tarred
from wslabel import pipeline
from wslabel.config import load
from wslabel.errors import ConfigError, SourceError
from wslabel.settings import Project
from wslabel.sources import webdataset


def project(folder: Path, **images: Any) -> Project:
    config = tiny_config(folder) | {"images": {"shard_size": 8} | images}
    return load(write_config(folder / "p.yaml", config))


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.mark.usefixtures("cluster")
def test_tar_files_are_gone_through_once_and_new_ones_add_their_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards = tmp_path / "shards"
    shards.mkdir()
    (shards / "a.tar").write_bytes(tarred({f"{i}.jpg": jpeg((i, 9, 9)) for i in range(12)}))
    one = project(tmp_path, source="webdataset", path="shards")
    assert pipeline.ingest(one).num_images == 12
    outcome = pipeline.featurize(one)
    assert (outcome.num_images, outcome.errors) == (12, {})
    with monkeypatch.context() as patch:
        patch.setattr(webdataset, "read", lambda *_: pytest.fail("the tar files were read again"))
        assert pipeline.ingest(one).made == 0
    (shards / "b.tar").write_bytes(tarred({f"{i}.jpg": jpeg((9, i, 9)) for i in range(3)}))
    again = pipeline.ingest(one)
    (shards / "a.tar").write_bytes(tarred({f"{i}.jpg": jpeg((i, 9, 9), 40) for i in range(12)}))
    with pytest.raises(SourceError, match=r"'a\.tar/\d+' lies elsewhere in its file now"):
        pipeline.ingest(one)
    assert (again.made, again.total, again.num_images) == (1, 3, 3)


def test_a_local_data_set_grows(tmp_path: Path) -> None:
    root = image_folder(tmp_path / "photos")
    one = project(
        tmp_path, source="huggingface", dataset="photos", truth="label", classes={"sea": "coast"}
    )
    assert pipeline.ingest(one).num_images == 6
    assert pipeline.ingest(one).num_images == 0
    (root / "coast" / "new.jpg").write_bytes(jpeg((1, 2, 3)))
    assert pipeline.ingest(one).num_images == 1


def test_a_name_on_the_hub_is_no_path_and_a_path_must_be_there(tmp_path: Path) -> None:
    source = {"source": "huggingface"}
    assert project(tmp_path, **source, dataset="user/data").images.dataset == "user/data"
    with pytest.raises(ConfigError, match=r"images\.dataset: there is no file '.*photo'"):
        project(tmp_path, **source, dataset="./photo")
    with pytest.raises(ConfigError, match="expected a path or s3://"):
        project(tmp_path, **source, dataset="https://host/data")


@pytest.mark.usefixtures("cluster")
def test_open_images_are_fetched_from_a_bucket_laid_out_as_theirs(
    tmp_path: Path, s3_server: S3Server
) -> None:
    images = {"train": [f"{i:016x}" for i in range(8)], "test": [f"{i:016x}" for i in range(8, 12)]}
    client = boto3.client("s3", endpoint_url=s3_server.endpoint)
    for split, ids in images.items():
        for image in ids[1:]:  # one of each was taken down
            what = {"Bucket": s3_server.bucket, "Key": f"oi/{split}/{image}.jpg"}
            client.put_object(**what, Body=jpeg((20, 60, 200)), ACL="public-read")
    labels = {
        split: [(image, SEA if n % 2 else JUNGLE, 1) for n, image in enumerate(ids)]
        for split, ids in images.items()
    }
    how = Release(tmp_path / "oi", labels).write() | {"own_splits": True}
    how |= {"images": f"s3://{s3_server.bucket}/oi"}
    how |= {"classes": {"sea": "sea", "jungle": "jungle"}}
    how |= {"s3": {"endpoint": s3_server.endpoint, "anonymous": True}}
    one = project(tmp_path, **how)
    assert pipeline.ingest(one).num_images == 12
    outcome = pipeline.featurize(one)
    assert (outcome.num_images, outcome.errors) == (12, {"missing": 2})
