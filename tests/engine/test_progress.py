"""A log gets a line now and then, CI gets none, and results pass through unchanged."""

import pytest

from wslabel.engine.progress import is_quiet, tell, track
from wslabel.engine.step import ItemResult

RESULTS = [
    ItemResult(item=0, num_images=3, errors={"missing": 2}),
    ItemResult(item=1, num_images=5, errors={"missing": 1, "crashed": 1}),
]


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CI", "WSLABEL_QUIET"):
        monkeypatch.delenv(name, raising=False)


def test_results_pass_through() -> None:
    assert list(track(iter(RESULTS), "featurize", 2)) == RESULTS


@pytest.mark.usefixtures("watched")
def test_a_log_gets_a_line_at_the_end_with_rate_and_failures(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert list(track(iter(RESULTS), "featurize", 2)) == RESULTS
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("featurize: 2/2, ")
    assert " images/s crashed 1 missing 3, 0 s left" in line


@pytest.mark.parametrize("variable", ["CI", "WSLABEL_QUIET"])
@pytest.mark.usefixtures("watched")
def test_nobody_is_told_in_ci_or_where_silence_is_asked_for(
    variable: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tell("12 of ? files")
    assert capsys.readouterr().err == "12 of ? files\n"
    assert not is_quiet()
    monkeypatch.setenv(variable, "1")
    assert is_quiet()
    tell("12 of ? files")
    list(track(iter(RESULTS), "featurize", 2))
    assert capsys.readouterr() == ("", "")
