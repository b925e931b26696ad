"""What sources have in common: shares that add up, free names of columns, described settings."""

from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from tests.projects import TABLE, Change, assert_refused, full, put, write
from wslabel.config.base import S3
from wslabel.project.loading import load
from wslabel.sources.folder import FolderConfig
from wslabel.sources.registry import SOURCES
from wslabel.sources.source import MetadataNames, SourceConfig, Split

HUB = {"source": "huggingface", "dataset": "photos"}
TARS = {"source": "webdataset", "path": "photos"}


class Columns(BaseModel):
    metadata: MetadataNames


def test_shares_of_splits_add_up() -> None:
    assert Split(train=0.5, val=0.25, test=0.25).val == 0.25
    with pytest.raises(ValidationError, match=r"train \+ val \+ test must be 1, found 0\.9"):
        Split(train=0.6)


def test_metadata_columns_stand_once_and_take_no_name_of_ours() -> None:
    assert Columns(metadata=["title", "year"]).metadata == ["title", "year"]
    with pytest.raises(ValidationError, match="metadata column 'title' is named twice"):
        Columns(metadata=["title", "title"])
    with pytest.raises(ValidationError, match="metadata column 'uri' has a name of ours"):
        Columns(metadata=["uri"])


def test_a_source_that_says_nothing_is_listed_in_every_run() -> None:
    settings = FolderConfig(source="folder", path="/photos")
    assert settings.listing_state(S3()) is None


def test_images_are_fetched_from_what_is_named_and_from_the_sources_own_place(home: Path) -> None:
    assert FolderConfig(source="folder", path="/photos").allowed("/ws").permits("https://host/a")
    config = full()
    config["images"] |= {"allow": ["more", "https://host/photos"]}
    images = load(write(home, config)).images
    allowed = images.allowed("/ws")
    for uri in (f"{home}/photos/a", f"{home}/more/a", "https://host/photos/a", "/ws/packed/a.tar"):
        assert allowed.permits(uri), uri
    for uri in (f"{home}/a", "https://host/a", "s3://bucket/a", "/wsx"):
        assert not allowed.permits(uri), uri


@pytest.mark.parametrize("name", list(SOURCES))
def test_what_may_change_are_settings_of_the_kind(name: str) -> None:
    kind = SOURCES[name]
    assert kind.may_change <= set(kind.model_fields)
    assert SourceConfig.may_change < kind.may_change
    decides = {"split", "seed", "shard_size", "classes"}
    assert decides.isdisjoint(kind.may_change)


@pytest.mark.parametrize("name", list(SOURCES))
def test_every_setting_of_a_kind_is_described(name: str) -> None:
    kind = SOURCES[name]
    described = f"{SourceConfig.__doc__}{kind.__doc__}"
    for key in kind.model_fields:
        assert f"\n        {key}: " in described, key


WRONG: dict[str, tuple[Change, list[str]]] = {
    "a split of less than all": (
        put("images", "split", value={"train": 0.5, "val": 0.1, "test": 0.1}),
        [": images.split: train + val + test must be 1, found 0.7"],
    ),
    "truth among the metadata": (
        put("images", value=TABLE | {"truth": "species", "metadata": ["title", "species"]}),
        [": images: metadata: 'species' is what 'truth' names, which labeling functions must nev"],
    ),
    "the split among the metadata": (
        put("images", value=TABLE | {"split_column": "part", "metadata": ["part"]}),
        [": images: metadata: 'part' is what 'split_column' names"],
    ),
    "the label of a data set among the metadata": (
        put("images", value=HUB | {"truth": "label", "metadata": ["label"]}),
        [": images: metadata: 'label' is what 'truth' names"],
    ),
    "the class of a sample among the metadata": (
        put("images", value=TARS | {"truth": "cls", "metadata": ["cls"]}),
        [": images: metadata: 'cls' is what 'truth' names"],
    ),
    "all keys of a sample among the metadata": (
        put("images", value=TARS | {"truth": "label", "metadata": ["json"]}),
        [": images: metadata: the member 'json' may hold the truth too"],
    ),
    "a place of no scheme that is read": (
        put("images", "allow", value=["/photos", "ftp://me:HUSH@host"]),
        [": images.allow: 'ftp://host': unknown scheme; valid: 'az', 'gs', 'http'"],
    ),
    "a place with a password": (
        put("images", "allow", value=["https://me:HUSH@host/photos"]),
        [
            ": images.allow: expected a scheme, a host or bucket, and a path at most, found 'https://h"
        ],
    ),
    "a place that leads out of itself": (
        put("images", "allow", value=["s3://bucket/photos/../.."]),
        [": images.allow: expected a scheme, a host or bucket, and a path at most"],
    ),
    "a place without a host": (
        put("images", "allow", value=["https://"]),
        [": images.allow: expected a scheme, a host or bucket"],
    ),
    "a negative fraction": (
        put("images", "split", "val", value=-0.25),
        [": images.split.val: ", "greater than or equal to 0", "found -0.25"],
    ),
    "an empty shard": (
        put("images", "shard_size", value=0),
        [": images.shard_size: ", "greater than or equal to 1", "found 0"],
    ),
    "a metadata column of our name": (
        put("images", value=TABLE | {"metadata": ["split"]}),
        [": images.metadata: metadata column 'split' has a name of ours"],
    ),
    "a metadata column twice": (
        put("images", value=TABLE | {"metadata": ["year", "year"]}),
        [": images.metadata: metadata column 'year' is named twice"],
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_settings_are_refused_plainly(home: Path, name: str) -> None:
    change, parts = WRONG[name]
    assert_refused(home, change, parts)
