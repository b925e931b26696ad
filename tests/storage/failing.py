"""Storage that fails as a busy server does, for tests of those who read from it."""

from collections.abc import Callable
from typing import Any

import pytest

from wslabel.storage import failures, location


def fail(monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """Let what is done to an address that holds `where` meet a busy store, and nobody wait."""

    def busy() -> None:
        raise OSError("AWS Error SLOW_DOWN during GetObject operation: reduce your rate")

    def retrying(action: Callable[[], Any], what: str) -> Any:
        return failures.retrying(busy if where in what else action, what, patience_s=lambda _: 0.0)

    monkeypatch.setattr(location, "retrying", retrying)
