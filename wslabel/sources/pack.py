"""Images that are no files of their own yet, packed into tar files of the workspace.

Tar files are named by their content, so packing again adds nothing.
"""

import hashlib
import io
import tarfile
from collections.abc import Iterator

from wslabel.sources.fetch import part_of
from wslabel.storage.location import Location

PACK = 64 * 2**20
"""Bytes of images after which a tar file is closed."""


class Pack:
    """Tar files that are filled one after another and named by their content."""

    def __init__(self, workspace: Location) -> None:
        """Start with an empty file."""
        self._workspace = workspace
        self._open()

    def _open(self) -> None:
        self._ranges: list[tuple[int, int, int]] = []
        self._sink = io.BytesIO()
        # Headers of one block each, without times or owners: the same images, the same bytes.
        self._tar = tarfile.open(fileobj=self._sink, mode="w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115 - closed by close()

    def add(self, row: int, data: bytes) -> Iterator[tuple[int, str]]:
        """Append an image; where that closes a file, say which rows' images are where in it."""
        if self._sink.tell() > PACK:
            yield from self.close()
            self._open()
        member = tarfile.TarInfo(f"{len(self._ranges):08d}")
        member.size = len(data)
        self._ranges.append((row, self._sink.tell() + tarfile.BLOCKSIZE, len(data)))
        self._tar.addfile(member, io.BytesIO(data))

    def close(self) -> Iterator[tuple[int, str]]:
        """Write the open file, if anything is in it, and say where its images are."""
        self._tar.close()
        if not self._ranges:
            return
        data = self._sink.getvalue()
        path = f"packed/{hashlib.blake2b(data, digest_size=12).hexdigest()}.tar"
        if not self._workspace.exists(path):
            self._workspace.create(path, data)
        for row, offset, size in self._ranges:
            yield row, part_of(self._workspace.uri(path), offset, size)
