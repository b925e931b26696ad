"""A small HTTP server with the troubles of the web."""

from collections.abc import Iterator

import pytest

from tests.sources.web import serving


@pytest.fixture(scope="module")
def web() -> Iterator[str]:
    """The address of the server."""
    with serving() as address:
        yield address
