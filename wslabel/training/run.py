"""One network to train: all that training needs to know of it, as a value that travels."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from wslabel.config.optimization import Optimization
from wslabel.config.training import Training
from wslabel.networks.factory import Builder
from wslabel.training.batch import Examples
from wslabel.training.objectives import Objective


@dataclass(frozen=True, kw_only=True)
class Run:
    """One network to train.

    Attributes:
        name: Name for people.
        folder: Folder that the network is kept in.
        build: Builds the network; called right after seeding.
        settings: How it is trained.
        objective: What it is trained for.
        train: Examples to learn from.
        validate: Examples to choose the best epoch by; None keeps the last.
        card: What is written beside the network, before what training adds.
    """

    name: str
    folder: str
    build: Builder
    settings: Optimization
    objective: Objective
    train: Examples
    validate: Examples | None = None
    card: Mapping[str, object] = field(default_factory=dict)

    @property
    def supervision(self) -> Training:
        """The settings of learning from labels; of a run without labels, their defaults."""
        if isinstance(self.settings, Training):
            return self.settings
        return Training(feature=self.settings.feature)
