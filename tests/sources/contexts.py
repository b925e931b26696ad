"""What a source is given, for tests that list one."""

from collections.abc import Callable

from wslabel.config.base import S3
from wslabel.sources.source import SourceContext
from wslabel.storage.location import Location


def context(
    s3: S3 | None = None,
    workspace: Location | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> SourceContext:
    """Give a context whose workspace is nowhere, unless one is named."""
    nowhere = Location("/nowhere/at/all")
    return SourceContext(s3=s3 or S3(), workspace=workspace or nowhere, tell=tell)
