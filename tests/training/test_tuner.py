"""What a sweep file says becomes what Ray Tune searches."""

import pyarrow.fs as pafs
import pytest
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler
from ray.tune.search.sample import Categorical, Float, Integer

from wslabel.config.sweep import Asha, Dimension
from wslabel.training.tuner import SweepStorage, _domain, _scheduler


@pytest.mark.parametrize(
    ("dimension", "expected"),
    [
        ({"choice": [1, 2]}, Categorical),
        ({"uniform": [0.0, 1.0]}, Float),
        ({"log_uniform": [0.1, 10.0]}, Float),
        ({"integer": [1, 5]}, Integer),
    ],
    ids=str,
)
def test_a_dimension_is_a_domain(dimension: dict[str, list[float]], expected: type) -> None:
    assert isinstance(_domain(Dimension.model_validate(dimension)), expected)


def test_a_grid_and_the_ends_of_integers_are_included() -> None:
    assert _domain(Dimension(grid=[1, 2])) == {"grid_search": [1, 2]}
    domain = _domain(Dimension(integer=(1, 2)))
    assert isinstance(domain, Integer)
    assert set(domain.sample(size=50)) == {1, 2}


def test_bad_trials_are_stopped_early_only_where_it_is_asked_for() -> None:
    assert isinstance(_scheduler(None), FIFOScheduler)
    assert isinstance(_scheduler(Asha(grace_epochs=2)), ASHAScheduler)


def test_a_sweep_is_kept_in_a_folder_of_its_own() -> None:
    assert SweepStorage(pafs.LocalFileSystem(), "ws/sweeps", "abc").path == "ws/sweeps/abc"
