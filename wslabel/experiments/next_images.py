"""Which images to ask people about first, by what labels or predictions say of them."""

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wslabel.active.acquisition import AcquisitionConfig
from wslabel.active.registry import ACQUISITIONS
from wslabel.config.problems import chosen
from wslabel.workspace.labeled_images import labeled_groups
from wslabel.workspace.workspace import Workspace


@dataclass(frozen=True, order=True, kw_only=True)
class NextImage:
    """An image to ask about; the greater, the sooner.

    Attributes:
        score: What the acquisition function gives it.
        image_id: Id of the image.
        label: Name of its likeliest class.
        confidence: Probability of that class.
    """

    score: float
    image_id: str
    label: str
    confidence: float


def next_images(
    workspace: Workspace, settings: Mapping[str, Any], *, table: str, count: int
) -> list[NextImage]:
    """Give the images with the highest scores, highest first; memory holds no more than these.

    Args:
        workspace: Tables of the project.
        settings: The acquisition function, as `{"kind": "margin"}`.
        table: labels or predictions/NETWORK.
        count: How many images.

    Raises:
        ConfigError: There is no such acquisition function or table.
        WorkLeft: The table is not made yet, or not whole.
    """
    where = Path("next_images")
    acquisition = chosen(ACQUISITIONS, settings, key="acquisition", file=where, folder=Path.cwd())
    return heapq.nlargest(count, _scored(workspace, acquisition, table))


def _scored(
    workspace: Workspace, acquisition: AcquisitionConfig, table: str
) -> Iterator[NextImage]:
    classes = workspace.project.classes
    for images in labeled_groups(workspace, table):
        scores_N = acquisition.scores(images.probs_NK)
        for row in np.flatnonzero(~np.isnan(scores_N)).tolist():
            label = int(images.probs_NK[row].argmax())
            yield NextImage(
                score=float(scores_N[row]),
                image_id=str(images.image_ids[row]),
                label=classes[label],
                confidence=float(images.probs_NK[row, label]),
            )
