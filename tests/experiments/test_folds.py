"""Folds hold every stratum alike."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from wslabel.experiments.folds import assign_folds


@given(
    strata=st.lists(st.integers(-1, 3), max_size=60),
    num_folds=st.integers(2, 7),
    seed=st.integers(0, 9),
)
def test_folds_hold_every_stratum_alike(strata: list[int], num_folds: int, seed: int) -> None:
    stratum_N = np.array(strata, int)
    fold_N = assign_folds(stratum_N, num_folds, seed)
    for stratum in set(strata):
        counts = np.bincount(fold_N[stratum_N == stratum], minlength=num_folds)
        assert max(counts) - min(counts) <= 1
    counts = np.bincount(fold_N, minlength=num_folds)
    assert max(counts) - min(counts) <= 1
