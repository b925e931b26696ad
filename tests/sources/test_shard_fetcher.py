"""A busy host is waited for, one that is gone is not, and nobody waits for ever."""

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.sources.web import DATA, Trusting, fetcher
from wslabel.config.base import S3
from wslabel.engine.room import Place
from wslabel.errors import StorageError, TransientStorageError
from wslabel.sources import shard_fetcher
from wslabel.sources.fetch import Fetcher, Unfetchable
from wslabel.sources.shard_fetcher import FEW, MANY, UNREACHABLE, ShardFetcher
from wslabel.storage import failures

Answer = Callable[[str], bytes]
GONE = "http://127.0.0.1:9"
"""A port at which nobody listens."""


class Counting(Fetcher):
    """Counts how often each image was begun and how often each was tried in all."""

    def __init__(self) -> None:
        super().__init__(S3(), Trusting())
        self.begun: list[str] = []
        self.tried: list[str] = []

    def __call__(
        self,
        uri: str,
        patience_s: Callable[[OSError], float] | None = None,
        place: Place | None = None,
    ) -> bytes:
        self.begun.append(uri)
        return super().__call__(uri, patience_s, place)

    def _fetch(self, uri: str, place: Place) -> bytes:
        self.tried.append(uri)
        return super()._fetch(uri, place)


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A minute is two seconds here, and ten seconds are a third of one."""
    monkeypatch.setattr(failures, "PATIENCE_S", 2.0)
    monkeypatch.setattr(shard_fetcher, "SILENT_S", 0.3)
    monkeypatch.setattr(shard_fetcher, "SHARD_S", 10.0)


def fetched(fetch: ShardFetcher, uris: Iterable[str], threads: int = 16) -> list[bytes | str]:
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(fetch, uris))


def test_images_and_kinds_of_errors_come_as_they_are(web: str) -> None:
    fetch = ShardFetcher(fetcher())
    uris = [f"{web}/200/a", f"{web}/404/b", f"{web}/403/c", f"{web}/shaky/d"]
    assert fetched(fetch, uris) == [DATA, "missing", "denied", DATA]
    assert fetch.reason == ""


def test_an_image_of_another_size_than_it_had_is_told(web: str) -> None:
    uris = [f"{web}/200/{name}" for name in "abc"] + [f"{web}/404/d"]
    sizes = {uris[0]: len(DATA), uris[1]: len(DATA) + 1, uris[3]: 5}
    fetch = ShardFetcher(fetcher(), sizes)
    assert fetched(fetch, uris) == [DATA, "changed", DATA, "missing"]


def test_one_throttled_image_costs_no_other_and_is_told(web: str) -> None:
    counting = Counting()
    fetch = ShardFetcher(counting)
    uris = [f"{web}/200/{n}" for n in range(40)]
    uris[7] = f"{web}/429/seven"
    assert fetched(fetch, uris) == [DATA] * 7 + [UNREACHABLE] + [DATA] * 32
    assert counting.tried.count(uris[7]) > 1  # somebody answered: it was waited for
    assert fetch.reason.startswith(f"{web}/429/seven: storage failed")
    assert "HTTP 429" in fetch.reason


def test_a_host_that_never_answered_is_soon_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "PATIENCE_S", 60.0)
    fetch = ShardFetcher(fetcher())
    start = time.monotonic()
    assert fetch(f"{GONE}/a") == UNREACHABLE
    assert time.monotonic() - start < 20.0


def test_a_host_that_answered_before_is_waited_for(
    web: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch = ShardFetcher(fetcher())
    silent, patience = OSError("Connection refused"), fetch._patience_s
    assert patience(web, silent) == 0.3
    assert fetch(f"{web}/200/a") == DATA
    assert patience(web, silent) == 2.0
    assert patience(f"{web}0", silent) == 0.3


def test_a_shard_of_one_host_that_is_gone_ends_soon() -> None:
    counting = Counting()
    fetch = ShardFetcher(counting)
    uris = [f"{GONE}/{n}" for n in range(512)]
    start = time.monotonic()
    assert fetched(fetch, uris) == [UNREACHABLE] * 512
    assert time.monotonic() - start < 8.0  # of 10 if each were waited for
    assert MANY <= len(counting.begun) <= MANY + 16  # those in work at that moment
    fetch.try_again()
    before = len(counting.tried)
    assert fetched(fetch, uris) == [UNREACHABLE] * 512
    assert MANY <= len(counting.tried) - before <= MANY + 16  # no image twice


def test_a_shard_of_one_host_that_is_busy_ends_soon(web: str) -> None:
    fetch = ShardFetcher(fetcher())
    start = time.monotonic()
    assert set(fetched(fetch, [f"{web}/503/of-many/{n}" for n in range(512)])) == {UNREACHABLE}
    assert time.monotonic() - start < 30.0  # of 64 if each were waited for


def test_a_shard_of_many_hosts_that_are_gone_waits_for_all_no_longer_than_its_patience(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shard_fetcher, "SHARD_S", 1.0)
    fetch = ShardFetcher(fetcher())
    uris = [f"http://127.0.{n // 250}.{n % 250 + 2}:9/a" for n in range(512)]
    start = time.monotonic()
    assert set(fetched(fetch, uris, threads=4)) == {UNREACHABLE}
    assert time.monotonic() - start < 20.0  # of 38 if each were waited for


def test_an_image_that_is_reached_in_between_gives_its_host_new_credit(web: str) -> None:
    counting = Counting()
    fetch = ShardFetcher(counting)
    fetch.try_again()  # a single try each
    for n in range(3 * MANY):
        kind = "200" if n % FEW == FEW - 1 else "503"
        assert fetch(f"{web}/{kind}/between/{n}") == (DATA if kind == "200" else UNREACHABLE)
    assert len(counting.begun) == 3 * MANY


def test_what_was_busy_once_is_reached_when_tried_again(web: str) -> None:
    fetch = ShardFetcher(fetcher())
    uri = f"{web}/shaky/late"
    fetch._is_last_try = True
    assert fetch(uri) == UNREACHABLE
    fetch.try_again()
    assert fetch(uri) == DATA


def test_a_place_that_serves_nobody_stops_all() -> None:
    class Refusing(Fetcher):
        def _fetch(self, uri: str, place: Place) -> bytes:
            raise OSError(28, "No space left on device")

    with pytest.raises(StorageError, match="disk is full") as caught:
        ShardFetcher(Refusing(S3()))("/photos/a.jpg")
    assert not isinstance(caught.value, TransientStorageError | Unfetchable)
