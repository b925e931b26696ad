"""What every acquisition function is: how much a person's answer about an image would tell.

A kind is one file: its settings, a pure function of probabilities, and a line in `registry.py`.

Shape legend: N images, K classes.
"""

from abc import abstractmethod

import numpy as np

from wslabel.config.base import Settings


class AcquisitionConfig(Settings):
    """The settings of an acquisition function.

    Attributes:
        kind: Kind of the function.
    """

    kind: str

    @abstractmethod
    def scores(self, probs_NK: np.ndarray) -> np.ndarray:
        """Score images; the higher, the sooner one asks, and NaN where nothing is known.

        Args:
            probs_NK: Class probabilities; a row of NaN for an image of which nothing is known.
        """
