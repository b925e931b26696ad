"""Folder source: every image under a path or S3 prefix, its id the path below that."""

from pathlib import PurePosixPath
from typing import ClassVar, Literal

import pyarrow as pa

from wslabel.config.paths import ExistingPath
from wslabel.errors import SourceError, nearest
from wslabel.schema import MODIFIED_AT, NUM_BYTES
from wslabel.sources.listing import LISTING, check, class_of
from wslabel.sources.source import EXTENSIONS, SourceConfig, SourceContext
from wslabel.storage.location import Entry, Location


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
    """

    source: Literal["folder"]
    path: ExistingPath
    classes: dict[str, str | list[str]] | None = None
    other_folders: Literal["skip", "keep"] = "skip"
    extensions: list[str] = list(EXTENSIONS)

    may_change: ClassVar[frozenset[str]] = SourceConfig.may_change | {"path", "extensions"}

    @property
    def known_elsewhere(self) -> Literal["other"]:
        """Say that the same path in another folder is another image."""
        return "other"

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
        kept, truths = [], []
        folders = set()
        for entry in Location(root, context.s3).files("", recursive=True):
            path = PurePosixPath(entry.path)
            folder = str(path.parent)
            if path.suffix.lower() not in self.extensions:
                context.skipped[
                    f"ending in '{path.suffix}'" if path.suffix else "without an ending"
                ] += 1
                continue
            folders.add(folder)
            if skip_others and folder not in classes:
                context.skipped["in folders of no class"] += 1
                continue
            kept.append(entry)
            truths.append(classes.get(folder))
        _refuse_empty(root, classes, folders)
        return check(_listing(root, kept, truths), root)


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


def _refuse_empty(root: str, classes: dict[str, str], folders: set[str]) -> None:
    for own in classes:
        if own not in folders:
            raise SourceError(f"{root}: no image in folder '{own}'; {nearest(own, folders)}")
