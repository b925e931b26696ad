"""The one door to Snorkel: fit its label model on a summary of the votes instead of on the votes.

The optimization of Ratner et al. 2019 touches the images only through O, their number (which sets
the bound `mu_eps`) and the coverages, so the parameters are bit-equal to a fit on all the votes.
"""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypedDict, Unpack

import numpy as np
import torch
from numpy.typing import NDArray
from snorkel.labeling.model import LabelModel

from wslabel.errors import ConfigError
from wslabel.label_model.parameters import Parameters
from wslabel.label_model.summary import Summary
from wslabel.schema import ABSTAIN


class FitOptions(TypedDict):
    """How Snorkel optimizes; names and meaning are those of `LabelModel.fit`."""

    epochs: int
    learning_rate: float
    l2: float
    optimizer: str
    seed: int
    class_balance: Sequence[float] | None


def fit(summary: Summary, *, num_classes: int, **training: Unpack[FitOptions]) -> Parameters:
    """Fit Snorkel's label model; the global random generators are left as they were."""
    num_functions = len(summary.cooccurrence) // num_classes
    _check(summary, num_classes, training["class_balance"])
    model = _SummaryLabelModel(summary, num_classes)
    with _global_seeds_restored():
        model.fit(
            np.full((1, num_functions), ABSTAIN),
            class_balance=training["class_balance"],
            progress_bar=False,
            n_epochs=training["epochs"],
            lr=training["learning_rate"],
            l2=training["l2"],
            optimizer=training["optimizer"],
            seed=training["seed"],
        )
    return Parameters(model.mu.detach().numpy(), model.p, model.get_weights())


class _SummaryLabelModel(LabelModel):  # type: ignore[misc]
    """Snorkel's label model, given one abstained image in place of the votes."""

    def __init__(self, summary: Summary, num_classes: int) -> None:
        super().__init__(cardinality=num_classes, verbose=False)
        self._summary = summary

    def _generate_O(self, L: NDArray[np.int64], higher_order: bool = False) -> None:  # noqa: FBT001, FBT002, N802
        super()._generate_O(L, higher_order)  # sets c_data and d, which the mask needs
        self.n = self._summary.num_images
        self.O = torch.from_numpy(self._summary.cooccurrence / self.n).float()
        coverage_M = self._summary.coverage_M(self.cardinality)
        # Snorkel clips accuracy / 0 to a weight of 1.0 for a function that never votes.
        self.coverage = np.where(coverage_M > 0, coverage_M, np.nan)

    def _loss_mu(self, l2: float = 0) -> Any:
        loss = super()._loss_mu(l2)
        if torch.isnan(loss):  # Snorkel would raise a bare Exception
            raise ConfigError("the label model diverged: lower label_model.learning_rate")
        return loss


def _check(summary: Summary, num_classes: int, class_balance: Sequence[float] | None) -> None:
    if summary.num_images == 0:
        raise ConfigError("the label model needs votes, found no image: check the source")
    if class_balance is None:
        return
    if len(class_balance) != num_classes or min(class_balance) <= 0:
        raise ConfigError(
            f"class_balance needs {num_classes} shares above zero, one per class, "
            f"found {list(class_balance)}"
        )


@contextmanager
def _global_seeds_restored() -> Iterator[None]:
    python, numpy = random.getstate(), np.random.get_state()
    # torch.manual_seed seeds the accelerators as well, and asking for their state would start them.
    started = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    devices = range(torch.cuda.device_count()) if started else ()
    try:
        with torch.random.fork_rng(devices=list(devices)):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
