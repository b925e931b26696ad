"""All that the label model learns from: how often each two votes meet on one image.

Snorkel's optimization sees the images only through O = L_ind.T @ L_ind / N, the second moments of
the one-hot votes (Ratner et al. 2019, "Training Complex Models with Multi-Task Weak Supervision").
These are integer counts, so shards are summed exactly and in any order.

Shape legend: N images, M labeling functions, K classes, P patterns, D = M * K indicators.
Indicator `m * K + k` says that labeling function m votes for class k.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wslabel.label_model.patterns import compress

CELLS_PER_CHUNK = 2**21
"""How many indicators are unfolded at once: 16 MiB of float64."""


@dataclass(frozen=True, slots=True, eq=False)
class Summary:
    """The number of images, abstained ones included, and the D x D counts of joint votes."""

    num_images: int
    cooccurrence: NDArray[np.int64]

    def coverage_M(self, num_classes: int) -> NDArray[np.float64]:  # noqa: N802 - shape suffix
        """Share of the images that each labeling function votes on."""
        votes_MK = np.diagonal(self.cooccurrence).reshape(-1, num_classes)
        shares_M: NDArray[np.float64] = votes_MK.sum(axis=1) / max(1, self.num_images)
        return shares_M


def summarize(votes_NM: NDArray[np.integer[Any]], num_classes: int) -> Summary:
    """Count the joint votes of a matrix of votes.

    >>> summarize(np.array([[0, 1], [0, -1]]), 2).cooccurrence.tolist()
    [[2, 0, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0], [1, 0, 0, 1]]
    """
    patterns = compress(votes_NM, num_classes)
    num_indicators = votes_NM.shape[1] * num_classes
    rows = max(1, CELLS_PER_CHUNK // max(1, num_indicators))
    total = np.zeros((num_indicators, num_indicators), np.int64)
    for start in range(0, len(patterns.counts_P), rows):
        chunk = slice(start, start + rows)
        indicators_PD = _indicators(patterns.votes_PM[chunk], num_classes)
        weighted_PD = indicators_PD * patterns.counts_P[chunk, None]
        # float64 for the sake of BLAS: sums of integers are exact below 2**53.
        total += (weighted_PD.T @ indicators_PD).astype(np.int64)
    return Summary(len(votes_NM), total)


def merge(a: Summary, b: Summary) -> Summary:
    """Summarize the images of both, as if they had been summarized together."""
    assert a.cooccurrence.shape == b.cooccurrence.shape, "summaries of different votes"
    return Summary(a.num_images + b.num_images, a.cooccurrence + b.cooccurrence)


def _indicators(votes_PM: NDArray[np.integer[Any]], num_classes: int) -> NDArray[np.float64]:
    one_hot_PMK: NDArray[np.bool_] = votes_PM[:, :, None] == np.arange(num_classes)
    return one_hot_PMK.reshape(len(votes_PM), votes_PM.shape[1] * num_classes).astype(np.float64)
