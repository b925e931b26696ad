"""A folder lists the same images on disk and on S3."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.conftest import S3Server
from tests.sources.contexts import context
from wslabel.config.base import S3
from wslabel.errors import SourceError
from wslabel.sources.fetch import Fetcher, Unfetchable
from wslabel.sources.folder import FolderConfig
from wslabel.storage.location import Location
from wslabel.storage.walk import LISTED, OUTSIDE

FILES = (
    "coast/c1.jpg",
    "coast/c2.JPEG",
    "forest/f1.png",
    "forest/deep/f2.webp",
    "city/x.jpg",
    "top.jpg",
    "coast/notes.txt",
    "coast/noext",
)
IMAGES = [name for name in FILES if not name.endswith((".txt", "noext"))]
Read = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def disk(tmp_path: Path) -> str:
    return str(tmp_path / "photos")


def fill(location: Location) -> None:
    for name in FILES:
        location.create(name, b"x")


@pytest.fixture(params=["disk", "s3"])
def listed(request: pytest.FixtureRequest, disk: str) -> tuple[str, Read]:
    """The root of a filled folder, and the rows that reading it gives."""
    root, s3 = disk, S3()
    if request.param == "s3":
        server: S3Server = request.getfixturevalue("s3_server")
        root, s3 = f"s3://{server.bucket}/{uuid4().hex}", S3(endpoint=server.endpoint)
    fill(Location(root, s3))

    def rows(path: str | None = None, **settings: Any) -> list[dict[str, Any]]:
        folder = FolderConfig(source="folder", path=path or root, **settings)
        listing: list[dict[str, Any]] = folder.list_images(context(s3)).to_pylist()
        # A workspace may lie in the folder; drafts have no suffix of an image.
        return sorted(listing, key=lambda row: row["image_id"])

    return root, rows


class TestOnDiskAndS3:
    def test_ids_are_the_paths_of_images_below(self, listed: tuple[str, Read]) -> None:
        root, rows = listed
        assert [row["image_id"] for row in rows()] == sorted(IMAGES)
        assert all(row["uri"] == f"{root}/{row['image_id']}" for row in rows())
        assert all(row["truth"] is None and row["split"] is None for row in rows())

    def test_a_final_slash_changes_nothing(self, listed: tuple[str, Read]) -> None:
        root, rows = listed
        assert rows(root + "/") == rows()

    def test_others_are_skipped_where_classes_are_named(self, listed: tuple[str, Read]) -> None:
        listing = listed[1](classes={"sea": "coast", "jungle": ["forest", "forest/deep"]})
        assert {row["image_id"]: row["truth"] for row in listing} == {
            "coast/c1.jpg": "sea",
            "coast/c2.JPEG": "sea",
            "forest/f1.png": "jungle",
            "forest/deep/f2.webp": "jungle",
        }

    def test_others_are_kept_without_truth(self, listed: tuple[str, Read]) -> None:
        listing = listed[1](classes={"sea": "coast"}, other_folders="keep")
        assert [row["image_id"] for row in listing] == sorted(IMAGES)
        truths = {row["image_id"]: row["truth"] for row in listing}
        assert truths.pop("coast/c1.jpg") == truths.pop("coast/c2.JPEG") == "sea"
        assert set(truths.values()) == {None}

    def test_only_wanted_extensions_are_listed(self, listed: tuple[str, Read]) -> None:
        listing = listed[1](extensions=[".png", ".txt"])
        assert [row["image_id"] for row in listing] == ["coast/notes.txt", "forest/f1.png"]

    def test_a_folder_without_images_names_the_nearest(self, listed: tuple[str, Read]) -> None:
        root, rows = listed
        with pytest.raises(SourceError) as caught:
            rows(classes={"sea": "cost"}, other_folders="keep")
        wanted = f"{root}: no image in folder 'cost'; did you mean 'coast'?"
        assert str(caught.value) == wanted

    def test_the_nearest_is_named_where_others_are_skipped(self, listed: tuple[str, Read]) -> None:
        with pytest.raises(SourceError, match=r"'cost'; did you mean 'coast'\?"):
            listed[1](classes={"sea": "cost"})

    def test_no_image_at_all_is_refused(self, listed: tuple[str, Read]) -> None:
        root, rows = listed
        with pytest.raises(SourceError, match="none: no image found"):
            rows(f"{root}/none")
        with pytest.raises(SourceError, match="no image found"):
            rows(extensions=[".xyz"])


def test_disk_and_s3_list_the_same(disk: str, s3_server: S3Server) -> None:
    remote, s3 = f"s3://{s3_server.bucket}/{uuid4().hex}", S3(endpoint=s3_server.endpoint)
    for root, settings in ((disk, S3()), (remote, s3)):
        fill(Location(root, settings))
    classes = {"sea": "coast", "jungle": "forest"}
    local = FolderConfig(source="folder", path=disk, classes=classes)
    mine = local.list_images(context())
    theirs = local.model_copy(update={"path": remote}).list_images(context(s3))
    own = ["uri", "modified_at"]
    assert mine.drop_columns(own).equals(theirs.drop_columns(own))


def test_drafts_are_no_images(disk: str) -> None:
    fill(Location(disk))
    Path(disk, ".staging", uuid4().hex).write_bytes(b"half")
    listing = FolderConfig(source="folder", path=disk).list_images(context())
    assert len(listing) == len(IMAGES)


def test_the_scenes_are_listed_with_their_truth(scenes: Path) -> None:
    classes = {"jungle": "forest", "sea": "coast"}
    settings = FolderConfig(source="folder", path=str(scenes), classes=classes)
    listing = settings.list_images(context())
    assert listing.column("truth").to_pylist() == ["sea"] * 30 + ["jungle"] * 30
    assert listing.column("image_id").to_pylist()[::30] == ["coast/c00.jpg", "forest/f00.jpg"]


class TestLinks:
    def listed(self, root: Path, **more: Any) -> tuple[dict[str, str | None], Counter[str]]:
        made = context()
        listing = FolderConfig(source="folder", path=str(root), **more).list_images(made)
        rows = listing.select(["image_id", "truth"]).to_pylist()
        return {row["image_id"]: row["truth"] for row in rows}, made.skipped

    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        """A folder with a loop, and a link to a stranger's photo."""
        root = tmp_path / "photos"
        Location(str(root)).create("all/1.jpg", b"x")
        Location(str(tmp_path / "private")).create("me.jpg", b"x")
        (root / "all" / "loop").symlink_to("..")
        (root / "me.jpg").symlink_to("../private/me.jpg")
        return root

    def test_a_loop_adds_nothing_and_what_leads_out_is_counted(self, root: Path) -> None:
        images, skipped = self.listed(root)
        assert list(images) == ["all/1.jpg"]
        assert skipped == {LISTED: 1, OUTSIDE: 1}

    def test_links_are_followed_where_asked_for(self, root: Path) -> None:
        images, skipped = self.listed(root, follow_links=True)
        assert list(images) == ["all/1.jpg", "me.jpg"]
        assert skipped == {LISTED: 1}

    def test_the_name_that_tells_the_class_stands_for_the_image(self, root: Path) -> None:
        (root / "sea").mkdir()
        (root / "sea" / "1.jpg").symlink_to("../all/1.jpg")
        for others in ("keep", "skip"):
            images, _ = self.listed(root, classes={"sea": "sea"}, other_folders=others)
            assert images == {"sea/1.jpg": "sea"}

    def test_a_file_that_becomes_a_link_is_followed_no_further(self, root: Path) -> None:
        private, workspace = root.parent / "private" / "me.jpg", str(root.parent / "workspace")
        (root / "all" / "2.jpg").symlink_to("1.jpg")
        source = FolderConfig(source="folder", path=str(root))
        followed = source.model_copy(update={"follow_links": True})
        uri = f"{root}/all/1.jpg"
        assert Fetcher(S3(), source.allowed(workspace))(f"{root}/all/2.jpg") == b"x"
        private.write_bytes(b"HUSH")
        (root / "all" / "1.jpg").unlink()
        (root / "all" / "1.jpg").symlink_to(private)
        allowing = source.model_copy(update={"allow": [str(root)]})
        for strict in (
            source,
            allowing,
            FolderConfig(source="folder", path=str(root.parent / "n")),
        ):
            with pytest.raises(Unfetchable) as caught:
                Fetcher(S3(), strict.allowed(workspace))(uri)
            assert caught.value.kind == "denied"
        assert Fetcher(S3(), followed.allowed(workspace))(uri) == b"HUSH"
        named = source.model_copy(update={"allow": [str(private)]})
        assert Fetcher(S3(), named.allowed(workspace))(uri) == b"HUSH"
        (root / "all").rename(root / "was")
        (root / "all").symlink_to(private.parent)
        with pytest.raises(Unfetchable, match=r"^denied: .*me\.jpg: a symbolic link leads to '"):
            Fetcher(S3(), source.allowed(workspace))(f"{root}/all/me.jpg")

    def test_where_all_lead_out_it_is_said(self, root: Path) -> None:
        (root / "all" / "1.jpg").unlink()
        with pytest.raises(SourceError, match=r"no image found; left out: .*follow_links: true"):
            self.listed(root)
        (root / "sea").symlink_to(root.parent / "private")
        with pytest.raises(SourceError, match=r"no image in folder 'sea'.*follow_links: true"):
            self.listed(root, classes={"sea": "sea"})
