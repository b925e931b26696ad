"""What every export of labels is: settings, and how labeled images become a file.

A kind is one file and a line in `registry.py`. Images come group by group, so that millions fit.
"""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from wslabel.config.base import Settings


@dataclass(frozen=True, kw_only=True, eq=False)
class LabeledImages:
    """Some images with what is said of them.

    Attributes:
        image_ids: Ids of the images.
        uris: Where each is.
        splits: train, val or test.
        labels: Class id of each, -1 where there is none.
        probs_NK: Probability of each class, [n, K]; NaN where there is none.
    """

    image_ids: np.ndarray
    uris: np.ndarray
    splits: np.ndarray
    labels: np.ndarray
    probs_NK: np.ndarray


class ExportConfig(Settings):
    """The settings of an export of labels.

    Attributes:
        kind: Kind of the export.
    """

    kind: str

    @property
    @abstractmethod
    def extension(self) -> str:
        """Ending of the file."""

    @abstractmethod
    def write(
        self, groups: Iterator[LabeledImages], classes: Sequence[str], sink: BinaryIO
    ) -> None:
        """Write all images.

        Args:
            groups: The images, group by group.
            classes: Class names in the order of their ids.
            sink: Where to write.
        """
