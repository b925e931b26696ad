"""The networks that a project names: their settings, their folder, what they learn from."""

from dataclasses import dataclass

from wslabel.config.training import WHERE_IT_RUNS, Training
from wslabel.workspace.groups import GroupTable
from wslabel.workspace.shard_reader import FoldPart

NETWORK = "network.safetensors"
"""The last file of a network to appear: with it, the network is trained."""

CARD = "card.json"
"""Classes, preprocessing, settings and every epoch's figures of a network."""

NOT_IN_NETWORK = WHERE_IT_RUNS | {"labels", "variants", "weights", "precision", "probe"}
"""Settings that do not change which network comes out, or count by what they stand for."""

Figures = dict[str, float]
"""What an epoch was like."""


@dataclass(frozen=True)
class Card:
    """What the card of a network tells of its training.

    Attributes:
        history: What each epoch was like.
        metrics: What the best epoch was like.
    """

    history: list[Figures]
    metrics: Figures


@dataclass(frozen=True, kw_only=True)
class Network:
    """One network of a project.

    Attributes:
        name: Name for people.
        settings: How it is trained, with one kind of label.
        folder: Where it is kept.
        labels: Labels that it learns from instead of the label model's; None for those.
        parts: It learns from the images of its splits that are in all of these.
        splits: Splits whose images it learns from.
    """

    name: str
    settings: Training
    folder: str
    labels: GroupTable | None = None
    parts: tuple[FoldPart, ...] = ()
    splits: tuple[str, ...] = ("train",)

    @property
    def file(self) -> str:
        """Name the file whose presence says that it is trained."""
        return f"{self.folder}/{NETWORK}"
