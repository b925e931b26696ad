"""Failures pass, are of one file, or stop the job and say what is to be done."""

import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wslabel.errors import StorageError, TransientStorageError
from wslabel.storage.failures import (
    FIRST_WAIT_S,
    LONGEST_WAIT_S,
    _wait,
    is_permanent,
    retrying,
)


class Failing:
    """Fails a number of times, then gives a value."""

    def __init__(self, times: int, error: Callable[[], OSError]) -> None:
        self.times, self.error, self.calls = times, error, 0

    def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self.times:
            raise self.error()
        return "done"


class SlowError(OSError):
    """Asks for a wait that is worth telling."""

    retry_after_s = 3.2


class TestRetrying:
    def test_transient_failures_pass(self) -> None:
        action = Failing(3, lambda: OSError("SLOW_DOWN"))
        assert retrying(action, "a") == "done"
        assert action.calls == 4

    def test_lasting_failures_end_plainly(self) -> None:
        action = Failing(99, lambda: OSError("SLOW_DOWN\n  please"))
        with pytest.raises(TransientStorageError) as caught:
            retrying(action, "s3://b/a", patience_s=lambda _: 0.0)
        assert str(caught.value) == "s3://b/a: storage failed once: SLOW_DOWN please"
        assert action.calls == 1

    def test_patience_is_of_the_clock_and_ends(self) -> None:
        action = Failing(10**6, lambda: OSError("SLOW_DOWN"))
        start = time.perf_counter()
        with pytest.raises(TransientStorageError, match=r"failed \d+ times in \d+ s"):
            retrying(action, "a", patience_s=lambda _: 1.0)
        assert time.perf_counter() - start < 10.0
        assert 3 <= action.calls < 100  # the waits grow

    @given(st.integers(1, 10**6))
    def test_waits_are_drawn_from_zero_to_a_bound_that_grows(self, tries: int) -> None:
        bound = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** min(tries - 1, 20))
        drawn = [_wait(tries, OSError()) for _ in range(50)]
        assert all(0.0 <= wait <= bound for wait in drawn)
        assert min(drawn) < bound / 2 < max(drawn)  # full jitter: workers part

    def test_an_answer_that_names_a_wait_gets_it(self) -> None:
        error = OSError("busy")
        error.retry_after_s = 7.5  # type: ignore[attr-defined]
        assert _wait(1, error) == 7.5

    def test_long_waiting_is_told(self, caplog: pytest.LogCaptureFixture) -> None:
        action = Failing(1, lambda: SlowError("SLOW_DOWN"))
        with caplog.at_level("WARNING", logger="wslabel"):
            assert retrying(action, "s3://b/a") == "done"
        assert caplog.messages == ["s3://b/a: SLOW_DOWN; trying again for 60 s"]

    @pytest.mark.parametrize(
        "error",
        [
            FileNotFoundError("x"),
            PermissionError("x"),
            IsADirectoryError("x"),
            NotADirectoryError("x"),
            OSError("AWS Error ACCESS_DENIED during HeadObject"),
            StorageError("x"),
            TransientStorageError("x"),
        ],
        ids=lambda error: f"{type(error).__name__} {error}",
    )
    def test_what_cannot_be_helped_comes_at_once(self, error: OSError) -> None:
        action = Failing(99, lambda: error)
        with pytest.raises(type(error)) as caught:
            retrying(action, "a")
        assert caught.value is error
        assert action.calls == 1

    def test_what_is_no_failure_of_storage_comes_at_once(self) -> None:
        calls = []

        def wrong() -> None:
            calls.append(1)
            raise ValueError("a bug")

        with pytest.raises(ValueError, match="a bug"):
            retrying(wrong, "a")
        assert len(calls) == 1

    def test_throttling_is_not_permanent(self) -> None:
        assert not is_permanent(OSError("AWS Error SLOW_DOWN"))
        assert not is_permanent(ConnectionResetError())
        assert is_permanent(FileNotFoundError())

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("AWS Error SLOW_DOWN during HeadObject operation: x", False),
            ("AWS Error NETWORK_CONNECTION during HeadObject operation: curlCode: 7", False),
            ("AWS Error UNKNOWN (HTTP status 500) during GetObject operation: x", False),
            ("AWS Error REQUEST_TIMEOUT (HTTP status 408) during GetObject operation: x", False),
            ("AWS Error UNKNOWN (HTTP status 400) during HeadObject operation: No body", True),
            ("AWS Error INVALID_ACCESS_KEY_ID (HTTP status 403) during GetObject operation", True),
            ("AWS Error ACCESS_DENIED during HeadObject operation: No response body.", True),
            (
                "AWS Error UNKNOWN (HTTP status 400) during GetObject operation: Unable to parse "
                "ExceptionName: ExpiredToken Message: The provided token has expired.",
                True,
            ),
        ],
    )
    def test_arrows_texts_are_understood(self, text: str, expected: bool) -> None:
        assert is_permanent(OSError(text)) is expected
