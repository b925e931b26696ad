"""Each run that did not reach an image counts once, whoever else runs."""

import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from wslabel.storage.location import Location
from wslabel.workspace import attempts

RUNS = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from("abc"), st.sets(st.sampled_from("xyz")))
)


@settings(deadline=None, max_examples=30)  # each example makes files
@given(RUNS)
def test_each_run_counts_once_per_image_and_shard(runs: list[tuple[int, str, set[str]]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        location = Location(folder)
        expected: dict[tuple[int, str], set[str]] = {}
        for shard, run, ids in runs:
            attempts.note(location, shard, run, ids)
            expected.setdefault((shard, run), ids)  # a run's first word counts
        for shard in range(4):
            counts = Counter(i for (s, _), ids in expected.items() if s == shard for i in ids)
            assert attempts.count(location, shard) == counts


def test_runs_that_race_count_each(tmp_path: Path) -> None:
    location = Location(str(tmp_path))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: attempts.note(location, 7, f"run{n}", ["a"]), range(8)))
    assert attempts.count(location, 7) == {"a": 8}
    attempts.forget(location, 7)
    assert attempts.count(location, 7) == {}
    attempts.forget(location, 7)
