"""What a trial tries follows from the sweep, its number, and what is finished."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wslabel.config.sweep import Sweep
from wslabel.training.draws import draw, num_trials

SEARCH = {
    "training.label_smoothing": {"uniform": [0.1, 0.3]},
    "training.learning_rate": {"log_uniform": [0.001, 0.1]},
    "training.batch_size": {"integer": [3, 5]},
    "training.labels": {"choice": ["soft", ["hard"], {"a": 1}, True]},
}


def a_sweep(**how: Any) -> Sweep:
    return Sweep.model_validate({"project": "p.yaml", "search": SEARCH} | how)


def test_a_grid_is_tried_in_order_and_whole() -> None:
    search = {"training.a": {"grid": [1, 2]}, "training.b": {"grid": ["x", "y", "z"]}}
    sweep = a_sweep(search=search)
    values = [draw(sweep, number, []) for number in range(num_trials(sweep))]
    assert [tuple(own.values()) for own in values] == [
        *((1, "x"), (1, "y"), (1, "z")),
        *((2, "x"), (2, "y"), (2, "z")),
    ]


@pytest.mark.parametrize("method", ["random", "optuna"])
@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 2**31), number=st.integers(0, 500), scores=st.lists(st.floats(-1, 1)))
def test_what_is_drawn_is_of_the_sweep_and_the_same_again(
    method: str, seed: int, number: int, scores: list[float]
) -> None:
    sweep = a_sweep(method=method, seed=seed, trials=9)
    assert num_trials(sweep) == 9
    finished = [(draw(sweep, k, []), score) for k, score in enumerate(scores)]
    drawn = draw(sweep, number, finished)
    assert sweep.holds(drawn)
    assert draw(sweep, number, finished) == drawn


@pytest.mark.parametrize("method", ["random", "optuna"])
def test_trials_and_seeds_differ(method: str) -> None:
    first, second = (a_sweep(method=method, seed=seed) for seed in (0, 1))
    drawn = [str(draw(sweep, number, [])) for sweep in (first, second) for number in range(20)]
    assert len(set(drawn)) == 40
    for key in ("training.batch_size", "training.labels"):
        assert len({str(draw(first, number, [])[key]) for number in range(40)}) >= 3


def test_optuna_learns_from_what_is_finished() -> None:
    sweep = a_sweep(method="optuna")
    key = "training.label_smoothing"
    finished = [(own, -abs(own[key] - 0.25)) for own in (draw(sweep, n, []) for n in range(40))]
    drawn = [draw(sweep, number, finished)[key] for number in range(40, 60)]
    assert sum(abs(value - 0.25) < 0.03 for value in drawn) > 12


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("training.label_smoothing", 0.4),
        ("training.label_smoothing", "0.2"),
        ("training.label_smoothing", True),
        ("training.batch_size", 3.5),
        ("training.labels", "original"),
        ("training.labels", 1),
        ("workspace", "/etc"),
    ],
)
def test_what_no_trial_draws_is_not_of_the_sweep(key: str, value: object) -> None:
    sweep = a_sweep(method="random")
    drawn = draw(sweep, 0, [])
    assert sweep.holds(drawn)
    assert not sweep.holds(drawn | {key: value})
    assert not sweep.holds({})
    assert not sweep.holds([drawn])
