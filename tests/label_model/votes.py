"""Random votes for tests."""

from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

Votes = NDArray[np.integer[Any]]


def draw_votes(seed: int, shape: tuple[int, int], num_classes: int, coverage: float) -> Votes:
    random = np.random.default_rng(seed)
    votes_NM = random.integers(0, num_classes, shape, dtype=np.int8)
    votes_NM[random.random(shape) >= coverage] = -1
    return votes_NM


@st.composite
def votes_and_classes(draw: st.DrawFn) -> tuple[Votes, int]:
    num_classes = draw(st.integers(2, 12))
    shape = draw(st.integers(0, 60)), draw(st.integers(1, 40))
    coverage = draw(st.sampled_from([0.0, 0.1, 0.6, 1.0]))
    return draw_votes(draw(st.integers(0, 2**32)), shape, num_classes, coverage), num_classes
