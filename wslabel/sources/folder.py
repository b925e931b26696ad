"""Folder source: every image under a path or S3 prefix, its id the path below that."""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import ClassVar, Literal

import pyarrow as pa

from wslabel.config.paths import ExistingPath
from wslabel.errors import SourceError, nearest
from wslabel.schema import MODIFIED_AT, NUM_BYTES
from wslabel.sources.listing import LISTING, check, class_of, left_out
from wslabel.sources.source import EXTENSIONS, SourceConfig, SourceContext
from wslabel.storage.location import Location
from wslabel.storage.walk import LISTED, OUTSIDE, Entry, each_once


class FolderConfig(SourceConfig):
    """All images under a path or S3 prefix.

    Attributes:
        source: Name of this kind of source.
        path: Folder or S3 prefix that holds the images.
        classes: Folders below `path` that hold the images of each class; null leaves all images
            without truth.
        other_folders: What becomes of images in other folders than those of `classes`: `skip`
            leaves them out, `keep` takes them without truth.
        extensions: Endings of the files that count as images, in lower case.
        follow_links: Whether symbolic links are followed that lead out of `path`; otherwise they
            are left out.
    """

    source: Literal["folder"]
    path: ExistingPath
    classes: dict[str, str | list[str]] | None = None
    other_folders: Literal["skip", "keep"] = "skip"
    extensions: list[str] = list(EXTENSIONS)
    follow_links: bool = False

    may_change: ClassVar[frozenset[str]] = SourceConfig.may_change | {
        *("path", "extensions", "follow_links"),
    }

    @property
    def known_elsewhere(self) -> Literal["other"]:
        """Say that the same path in another folder is another image."""
        return "other"

    @property
    def own_places(self) -> tuple[str, ...]:
        """Name the folder."""
        return (self.path,)

    @property
    def metadata_columns(self) -> tuple[str, ...]:
        """A folder tells nothing of its images but where they are."""
        return ()

    def list_images(self, context: SourceContext) -> pa.Table:
        """List the images of a folder.

        Raises:
            SourceError: no image is found, or a folder that `classes` names holds none.
        """
        root = self.path.rstrip("/")
        classes = class_of(self.classes or {})
        skip_others = self.classes is not None and self.other_folders == "skip"
        kept = []
        folders = set()
        entries = Location(root, context.s3).files(
            "", recursive=True, follow_links=self.follow_links, left_out=context.skipped
        )
        for entry in entries:
            suffix, folder = PurePosixPath(entry.path).suffix, _folder(entry)
            if suffix.lower() not in self.extensions:
                context.skipped[f"ending in '{suffix}'" if suffix else "without an ending"] += 1
                continue
            folders.add(folder)
            if skip_others and folder not in classes:
                context.skipped["in folders of no class"] += 1
                continue
            kept.append(entry)
        _refuse_empty(root, classes, folders, context.skipped)
        known = {entry.path for entry in kept if _folder(entry) in classes}
        entries = each_once(kept, root, context.skipped, first=known)
        truths = [classes.get(_folder(entry)) for entry in entries]
        return check(_listing(root, entries, truths), root, context.skipped)


def _folder(entry: Entry) -> str:
    return str(PurePosixPath(entry.path).parent)


def _listing(root: str, entries: list[Entry], truths: list[str | None]) -> pa.Table:
    columns = {
        "image_id": [entry.path for entry in entries],
        "uri": [f"{root}/{entry.path}" for entry in entries],
        "split": [None] * len(entries),
        "truth": truths,
        NUM_BYTES.name: [entry.size for entry in entries],
        MODIFIED_AT.name: [entry.mtime_ns // 1000 for entry in entries],
    }
    return pa.table(columns, schema=pa.schema([*LISTING, NUM_BYTES, MODIFIED_AT]))


def _refuse_empty(
    root: str, classes: Mapping[str, str], folders: set[str], skipped: Mapping[str, int]
) -> None:
    links = {why: skipped[why] for why in (OUTSIDE, LISTED) if why in skipped}
    for own in classes:
        if own not in folders:
            choice = nearest(own, folders)
            raise SourceError(f"{root}: no image in folder '{own}'; {choice}{left_out(links)}")
