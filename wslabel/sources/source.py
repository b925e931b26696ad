"""What every source of images has: its settings, and the method that lists its images.

A kind of source is one file: a subclass of `SourceConfig` with a `source: Literal[...]` of its own,
and one line in `registry.py`.
"""

import math
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal, Self

import pyarrow as pa
from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from wslabel.config.base import S3, Fraction, Settings, refuse, shortened
from wslabel.config.paths import place, scheme_of, unreadable
from wslabel.schema import RESERVED
from wslabel.sources.allowed import ANYWHERE, Allowed, place_of
from wslabel.storage.location import Location

EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".avif", ".bmp", ".gif", ".tif", ".tiff")
"""Endings of the files that count as images, where a source names no others."""


class Split(Settings):
    """Shares of the images that each split gets; they add up to 1.

    Attributes:
        train: Share of the images that label models and networks learn from.
        val: Share of the images by which the best epoch is chosen.
        test: Share of the images that reports are about.
    """

    train: Fraction = 0.7
    val: Fraction = 0.1
    test: Fraction = 0.2

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        if not math.isclose(self.train + self.val + self.test, 1.0, abs_tol=1e-6):
            raise refuse(
                f"train + val + test must be 1, found {self.train + self.val + self.test:g}"
            )
        return self


@dataclass(frozen=True)
class SourceContext:
    """What a source is given to list its images with.

    Attributes:
        s3: How to reach S3: the source's own settings, or else the project's.
        workspace: Root of the workspace, for a source that stores images there.
        tell: Function that shows a line about how a long listing goes.
        skipped: Files and rows that a source leaves out, by the reason, for it to count.
    """

    s3: S3
    workspace: Location
    tell: Callable[[str], None]
    skipped: Counter[str] = field(default_factory=Counter)


class SourceConfig(Settings):
    """Settings of a source, and how its images are listed.

    Attributes:
        source: Kind of the source.
        split: Shares of the images that each split gets.
        seed: Number that decides the order of the images, and so their shards and splits.
        shard_size: Number of images in a shard.
        s3: How to reach the images on S3; null takes the project's own `s3`.
        allow: Folders, buckets and servers, or prefixes of paths in these, as in
            `https://images.example.com/photos`: images are fetched from there, from what the
            source itself names, and from nowhere else; a server may have a private address then.
            null takes any uri, and of web servers those with a public address.
        classes: The source's own name or names for each class; null takes its names as they are.
        may_change: Settings that say where images are or how many there are. A workspace takes
            other values of them; all other settings decide the draw and stay as they are.
        locked_keys: Settings that name what labeling functions must never see.
        links_elsewhere: Whether paths may lead through symbolic links that are below none of the
            source's `own_places`, if it has any.
    """

    source: str
    split: Split = Split()
    seed: int = 0
    shard_size: int = Field(512, ge=1, le=32768)
    s3: S3 | None = None
    allow: list[str] | None = None
    classes: Mapping[str, str | list[str]] | None = None

    may_change: ClassVar[frozenset[str]] = frozenset({"s3", "allow"})
    locked_keys: ClassVar[tuple[str, ...]] = ("truth", "split_column")
    links_elsewhere: ClassVar[bool] = False

    @field_validator("allow")
    @classmethod
    def _prefixes(cls, value: list[str] | None, info: ValidationInfo) -> list[str] | None:
        return value and [_prefix(prefix, info) for prefix in value]

    @model_validator(mode="after")
    def _truth_is_locked_away(self) -> Self:
        for key in self.locked_keys:
            name = getattr(self, key, None)
            if name is not None and name in (self.metadata_columns or ()):
                raise refuse(
                    f"metadata: '{name}' is what '{key}' names, which labeling functions must "
                    "never see; leave it out"
                )
        return self

    def allowed(self, workspace: str) -> Allowed:
        """Say where the images may be fetched from.

        Args:
            workspace: Root of the workspace, where a source may have put images.
        """
        places = (*self.own_places, workspace)
        if self.allow is not None:
            return Allowed((*self.allow, *places), only=True)
        if getattr(self, "follow_links", False):
            return ANYWHERE
        roots = tuple(path for path in places if scheme_of(path) is None)
        return Allowed(roots=roots, links_elsewhere=self.links_elsewhere or not self.own_places)

    @property
    def own_places(self) -> tuple[str, ...]:
        """Name the folders and buckets that the settings themselves say the images are in."""
        return ()

    @property
    def metadata_columns(self) -> Sequence[str] | None:
        """Name the metadata columns that it lists; None where only the listing tells."""
        names: Sequence[str] | None = getattr(self, "metadata", None)
        return names

    @property
    def known_elsewhere(self) -> Literal["same", "other", "refused"]:
        """Say what is found under an id that the workspace knows with another uri.

        The `same` image, as where ids are those of a public data set; an `other` one, where ids are
        made of paths: its uri becomes its id; or, by default, what nobody can know: it is refused.
        """
        return "refused"

    @abstractmethod
    def list_images(self, context: SourceContext) -> pa.Table:
        """List all images there are now, as a table that `listing.check` lets pass.

        Raises:
            SourceError: the source cannot be listed.
            TransientStorageError: storage failed again and again.
        """

    def listing_state(self, s3: S3) -> object:
        """Say what a costly listing hangs on beside the settings, in plain JSON values.

        Where settings and state are those of a listing that was ingested whole, images are not
        listed again. None, the default, has them listed in every run.

        Args:
            s3: how to reach S3.
        """
        return None


def _prefix(prefix: str, info: ValidationInfo) -> str:
    """Make a prefix of `allow` absolute; refuse one below which nothing could ever lie."""
    scheme = scheme_of(prefix)
    if scheme is None:
        return place(prefix, info)
    if reason := unreadable(scheme):
        raise refuse(f"{shortened(prefix)}: {reason}")
    if "@" in prefix or "?" in prefix or "#" in prefix or place_of(prefix) is None:
        found = f"found {shortened(prefix)}"
        raise refuse(f"expected a scheme, a host or bucket, and a path at most, {found}")
    return prefix


def _free_names(names: list[str]) -> list[str]:
    for name in names:
        if names.count(name) > 1:
            raise refuse(f"metadata column '{name}' is named twice")
        if name in RESERVED:
            raise refuse(f"metadata column '{name}' has a name of ours; rename it in the file")
    return names


MetadataNames = Annotated[list[str], AfterValidator(_free_names)]
"""Names of columns that travel along; each stands once, and none is a name of ours."""
