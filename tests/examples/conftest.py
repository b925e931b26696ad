"""One workspace for all tests of examples that only read it."""

import pytest

from tests.examples.tables import draw, write
from wslabel.storage.location import Location


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Location:
    """Tables with the rows of `draw()`."""
    return write(tmp_path_factory.mktemp("workspace"), draw())
