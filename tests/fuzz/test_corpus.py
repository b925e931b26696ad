"""Inputs that were findings once are read again; each is a result or a clear refusal now."""

import importlib
from pathlib import Path
from typing import Any

import pytest

from wslabel.storage import failures

HERE = Path(__file__).parent
CORPUS = sorted((HERE / "corpus").glob("*/*"))
TARGETS = sorted(p.stem for p in (HERE / "targets").glob("*.py") if p.stem != "__init__")


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "PATIENCE_S", 0.0)  # a file gets no better by waiting


def target(name: str) -> Any:
    return importlib.import_module(f"tests.fuzz.targets.{name}")


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: f"{path.parent.name}/{path.name}")
@pytest.mark.timeout(60)
def test_what_was_found_is_read_or_refused(path: Path) -> None:
    target(path.parent.name).one_input(path.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.timeout(60)
def test_a_target_reads_good_files(name: str) -> None:
    seeds = sorted(set(target(name).seeds()))
    for data in seeds[:: 1 + len(seeds) // 20]:
        target(name).one_input(data)


def test_the_corpus_stays_small() -> None:
    assert sum(path.stat().st_size for path in CORPUS) < 300_000
