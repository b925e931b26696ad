"""Folder source: every image under a path or S3 prefix, its id the path below that."""

from pathlib import PurePosixPath

import pyarrow as pa

from wslabel.errors import SourceError, nearest
from wslabel.settings import S3, Folder
from wslabel.sources.listing import LISTING, check, class_of
from wslabel.storage.location import Location


def read(settings: Folder, s3: S3) -> pa.Table:
    """List the images of a folder.

    Raises:
        SourceError: no image is found, or a folder that `classes` names holds none.
    """
    root = settings.path.rstrip("/")
    classes = class_of(settings.classes or {})
    skip_others = settings.classes is not None and settings.other_folders == "skip"
    ids, truths = [], []
    folders = set()
    for entry in Location(root, s3).files("", recursive=True):
        path = PurePosixPath(entry.path)
        folder = str(path.parent)
        if path.suffix.lower() not in settings.extensions:
            continue
        folders.add(folder)
        if skip_others and folder not in classes:
            continue
        ids.append(entry.path)
        truths.append(classes.get(folder))
    _refuse_empty(root, classes, folders)
    uris = [f"{root}/{image_id}" for image_id in ids]
    columns = [ids, uris, [None] * len(ids), truths]
    return check(pa.table([pa.array(c, pa.string()) for c in columns], schema=LISTING), root)


def _refuse_empty(root: str, classes: dict[str, str], folders: set[str]) -> None:
    for own in classes:
        if own not in folders:
            raise SourceError(f"{root}: no image in folder '{own}'; {nearest(own, folders)}")
