"""Train one network: a plain loop over epochs that goes on from its last checkpoint.

All that is random follows from the seed, the epoch and the worker, so a run that was killed and
goes on ends with the very network of a run that was not.
"""

import time
from collections.abc import Callable

import numpy as np
import torch

from wslabel.errors import TrainingError
from wslabel.networks.modules import body_parameters, head
from wslabel.training.checkpoints import Checkpoints, Fitted, State, Tensors
from wslabel.training.events import Record
from wslabel.training.learning import learn
from wslabel.training.normalization import freeze, synced
from wslabel.training.optimizer import Optimizer
from wslabel.training.run import Run
from wslabel.training.validation import validate
from wslabel.training.worker_context import WorkerContext

OnEpoch = Callable[[Record], None]


def fit(
    run: Run,
    worker: WorkerContext,
    checkpoint: State | None = None,
    checkpoints: Checkpoints | None = None,
    on_epoch: OnEpoch | None = None,
) -> Fitted:
    """Train a network from a fresh, seeded start, or go on from a checkpoint.

    Args:
        run: What to train.
        worker: This worker in its group.
        checkpoint: Where to go on from; None starts afresh.
        checkpoints: Keep the state after each epoch; None keeps none.
        on_epoch: Is called after each epoch with its record.
    """
    training = OngoingTraining(run, worker)
    if checkpoint is not None:
        training.load(checkpoint)
    while not training.is_done:
        record = training.epoch()
        if on_epoch is not None:
            on_epoch(record)
        if worker.is_first and checkpoints is not None:
            checkpoints.keep(training.next_epoch, training.state())
    return Fitted(training.best, training.history, training.best_epoch)


class OngoingTraining:
    """A network on its way, with all that a checkpoint must hold."""

    def __init__(self, run: Run, worker: WorkerContext) -> None:
        self._run, self._worker = run, worker
        torch.manual_seed(run.settings.seed)
        network = run.build().to(worker.device)
        if run.settings.batch_norm == "synced":
            network = synced(network, worker)
        self.network = network
        share = run.supervision.body_learning_rate
        self.optimizer = Optimizer(network, run.settings, worker, share)
        self.next_epoch = 0
        self.history: list[Record] = []
        self.best: Tensors = {}
        self.best_epoch = 0
        self._wrapped: torch.nn.Module | None = None

    @property
    def is_done(self) -> bool:
        """Tell whether all epochs are over, or validation has long got no better."""
        patience = self._run.supervision.patience
        late = len(self.history) - self.best_epoch
        is_over = self.next_epoch >= self._run.settings.epochs
        return is_over or (patience is not None and late >= patience)

    def state(self) -> State:
        """Give all that going on needs; what is random follows from seed and epoch."""
        return {
            "network": _tensors(self.network),
            "best": self.best,
            **self.optimizer.state(),
            "next_epoch": self.next_epoch,
            "best_epoch": self.best_epoch,
            "history": self.history,
        }

    def load(self, state: State) -> None:
        """Go on from what `state` gave."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load(state)
        self.best, self.best_epoch = state["best"], state["best_epoch"]
        self.next_epoch, self.history = state["next_epoch"], state["history"]

    def epoch(self) -> Record:
        """Learn from all examples once, then validate."""
        epoch, run, worker = self.next_epoch, self._run, self._worker
        torch.manual_seed(seed_of(run.settings.seed, epoch, worker.rank))
        start = time.monotonic()
        record = learn(run, self._prepared(epoch), self.optimizer, worker, epoch)
        record["learning_rate"] = self.optimizer.learning_rate
        if run.validate is not None:
            record |= validate(run, self.network, self.optimizer.precision, worker)
        self.optimizer.end_epoch(record.get("validation_loss"))
        record |= {"epoch": epoch + 1, "seconds": time.monotonic() - start}
        self.next_epoch = epoch + 1
        self.history.append(record)
        if _is_last_best(run, self.history):
            self.best, self.best_epoch = _tensors(self.network), epoch + 1
        return record

    def _prepared(self, epoch: int) -> torch.nn.Module:
        """Set what of the network learns in an epoch, and give it as the group wraps it."""
        frozen_epochs = self._run.supervision.freeze_epochs
        if self._wrapped is None or epoch == frozen_epochs:
            for parameter in body_parameters(self.network) if frozen_epochs else ():
                parameter.requires_grad_(epoch >= frozen_epochs)
            self._wrapped = self._wrap()  # anew, or the group would share what it shared before
        self.network.train()
        if epoch < frozen_epochs:
            last = head(self.network)
            self.network.eval()
            self.network.get_submodule(last).train()
        if self._run.settings.batch_norm == "frozen":
            freeze(self.network)
        return self._wrapped

    def _wrap(self) -> torch.nn.Module:
        self._wrapped = None
        network = self.network
        if self._run.settings.compile:
            network = torch.compile(network)  # type: ignore[assignment]
        return self._worker.wrap(network)


def seed_of(seed: int, epoch: int, rank: int) -> int:
    """Give the seed of a worker's epoch, far from those of all other workers and epochs.

    >>> seed_of(0, 0, 0) == seed_of(0, 0, 1)
    False
    """
    (state,) = np.random.SeedSequence([seed, epoch, rank]).generate_state(1, np.uint64)
    return int(state)


def _is_last_best(run: Run, history: list[Record]) -> bool:
    """Tell whether the last epoch is better than all before; without validation it always is."""
    if run.validate is None:
        return True
    metric = run.supervision.select_by
    name = f"validation_{metric}"
    if name not in history[-1]:
        raise TrainingError(
            f"{run.name}: select_by: {metric} is not defined where the validation split "
            "shows a single class; choose by loss or accuracy"
        )
    sign = -1.0 if metric == "loss" else 1.0
    scores = [sign * record[name] for record in history]
    return all(scores[-1] > score for score in scores[:-1])


def _tensors(network: torch.nn.Module) -> Tensors:
    return {k: v.detach().cpu().clone() for k, v in network.state_dict().items()}
