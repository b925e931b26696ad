"""The values that a trial of a sweep tries; the door to Optuna.

What a trial draws follows from the sweep's seed, from its number, and, with Optuna, from the trials
that are finished: whoever draws it anew, on whichever machine, draws the same.
"""

import itertools
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from wslabel.config.sweep import Dimension, Sweep

Values = Mapping[str, Any]
"""Values of the searched keys."""


def num_trials(sweep: Sweep) -> int:
    """Count the trials of a sweep."""
    if sweep.method != "grid":
        return sweep.trials
    return math.prod(len(_choices(dimension)) for dimension in sweep.search.values())


def draw(sweep: Sweep, number: int, finished: Iterable[tuple[Values, float]]) -> dict[str, Any]:
    """Give the values of one trial.

    Args:
        sweep: What is searched, and how.
        number: Number of the trial, from 0.
        finished: Values and scores of the trials that are finished, in the order of their numbers.
    """
    if sweep.method == "grid":
        all_values = itertools.product(*map(_choices, sweep.search.values()))
        chosen = next(itertools.islice(all_values, number, None))
        return dict(zip(sweep.search, chosen, strict=True))
    if sweep.method == "optuna":
        return _by_optuna(sweep, number, finished)
    rng = np.random.default_rng([sweep.seed, number])
    return {key: _at_random(dimension, rng) for key, dimension in sweep.search.items()}


def _choices(dimension: Dimension) -> list[Any]:
    assert dimension.values is not None
    return dimension.values


def _at_random(dimension: Dimension, rng: np.random.Generator) -> Any:
    if dimension.values is not None:
        return dimension.values[int(rng.integers(len(dimension.values)))]
    if dimension.integer is not None:
        low, high = dimension.integer
        return int(rng.integers(low, high, endpoint=True))
    if dimension.uniform is not None:
        return float(rng.uniform(*dimension.uniform))
    assert dimension.log_uniform is not None
    least, most = dimension.log_uniform
    drawn = math.exp(rng.uniform(math.log(least), math.log(most)))
    return min(max(drawn, least), most)  # the logarithm of an end, back again, may lie beyond it


def _by_optuna(
    sweep: Sweep, number: int, finished: Iterable[tuple[Values, float]]
) -> dict[str, Any]:
    import optuna  # noqa: PLC0415 - an extra

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    seed = int(np.random.SeedSequence([sweep.seed, number]).generate_state(1)[0])
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    distributions = {key: _distribution(own) for key, own in sweep.search.items()}
    for values, score in finished:
        # Choices go by their place in the list: Optuna knows numbers and texts alone.
        params = {key: _inside(sweep.search[key], value) for key, value in values.items()}
        study.add_trial(
            optuna.create_trial(params=params, distributions=distributions, value=score)
        )
    asked = study.ask(distributions).params
    return {key: _outside(sweep.search[key], asked[key]) for key in sweep.search}


def _distribution(dimension: Dimension) -> Any:
    from optuna import distributions  # noqa: PLC0415 - an extra

    if dimension.values is not None:
        return distributions.CategoricalDistribution(range(len(dimension.values)))
    if dimension.integer is not None:
        return distributions.IntDistribution(*dimension.integer)
    if dimension.uniform is not None:
        return distributions.FloatDistribution(*dimension.uniform)
    assert dimension.log_uniform is not None
    return distributions.FloatDistribution(*dimension.log_uniform, log=True)


def _inside(dimension: Dimension, value: Any) -> Any:
    return value if dimension.values is None else dimension.values.index(value)


def _outside(dimension: Dimension, value: Any) -> Any:
    return value if dimension.values is None else dimension.values[value]
