"""The upload of one object in parts: of any size, and never whole in memory.

One PutObject takes 5 GiB. An upload in parts appears whole when it is completed and, as a put does,
only where there is no such object yet.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Self

PART_BYTES = 64 * 2**20
"""Of 10,000 parts at most, as many as S3 takes: an object of 625 GiB."""

Ask = Callable[..., Mapping[str, Any] | None]
"""Sends a request about the object, by its name in botocore; None where a condition failed."""


class Upload:
    """A stream into an object, which appears with `finish`; small ones are put at once."""

    def __init__(self, ask: Ask, part_bytes: int) -> None:
        """Begin; nothing is sent before there is a part of it.

        Args:
            ask: Sends requests about the object.
            part_bytes: Size of the parts.
        """
        self._ask, self._part_bytes = ask, part_bytes
        self._waiting = bytearray()
        self._upload: Any = None
        self._parts: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        """Open it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Take back the parts of an upload that was not finished, or they would be paid for."""
        if self._upload is not None:
            with suppress(OSError):  # a rule of the bucket may expire what still is left
                self._ask("abort_multipart_upload", UploadId=self._upload)

    def write(self, data: Any) -> int:
        """Take bytes, and send them as soon as they make a part."""
        left = memoryview(data).cast("B")
        size = len(left)
        while len(left):
            room = self._part_bytes - len(self._waiting)
            self._waiting += left[:room]
            left = left[room:]
            if len(self._waiting) == self._part_bytes:
                self._send()
        return size

    def finish(self) -> bool:
        """Let the object appear; False where there is one already, which stays."""
        if self._upload is None:
            return self._ask("put_object", Body=self._waiting, IfNoneMatch="*") is not None
        if self._waiting:
            self._send()
        parts = {"Parts": self._parts}
        made = self._ask(
            "complete_multipart_upload",
            UploadId=self._upload,
            MultipartUpload=parts,
            IfNoneMatch="*",
        )
        if made is not None:
            self._upload = None
        return made is not None

    def _send(self) -> None:
        if self._upload is None:
            begun = self._ask("create_multipart_upload")
            assert begun is not None
            self._upload = begun["UploadId"]
        number = len(self._parts) + 1
        sent = self._ask(
            "upload_part", UploadId=self._upload, PartNumber=number, Body=self._waiting
        )
        assert sent is not None
        self._parts.append({"ETag": sent["ETag"], "PartNumber": number})
        self._waiting = bytearray()
