"""Train one network: a plain loop over epochs that goes on from its last checkpoint.

All that is random follows from the seed, the epoch, the worker and the step, so a run that was
killed and goes on ends with the very network of a run that was not.
"""

import time
from collections.abc import Callable

import torch

from wslabel.errors import TrainingError
from wslabel.networks.modules import body_parameters, head
from wslabel.training.checkpoints import (
    Checkpoints,
    EpochState,
    Fitted,
    Position,
    State,
    Tensors,
    strange,
)
from wslabel.training.events import Record
from wslabel.training.learning import Pause, learn
from wslabel.training.normalization import freeze, synced
from wslabel.training.optimizer import Optimizer
from wslabel.training.run import Run
from wslabel.training.validation import validate
from wslabel.training.worker_context import (
    WorkerContext,
    first_does,
    from_first,
    record_from_first,
)

ASK_EVERY_S = 1.0
"""Seconds between two exchanges in which workers agree whether to keep a checkpoint."""

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
        checkpoints: Keep the state after each epoch, and within it from time to time; None keeps
            none.
        on_epoch: Is called after each epoch with its record.
    """
    training = OngoingTraining(run, worker)
    if checkpoint is not None:
        try:
            training.load(checkpoint)
        except (RuntimeError, LookupError, TypeError, ValueError, AttributeError) as error:
            raise strange(run.name, error) from None
    keeping = None if checkpoints is None else _Keeping(training, checkpoints)
    while not training.is_done:
        record = training.epoch(None if keeping is None else keeping.pause)
        if on_epoch is not None:
            on_epoch(record)
        if keeping is not None:
            keeping.keep(None)
    return Fitted(training.best, training.history, training.best_epoch)


class OngoingTraining:
    """A network on its way, with all that a checkpoint must hold."""

    def __init__(self, run: Run, worker: WorkerContext) -> None:
        self.run, self.worker = run, worker
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
        self.begun: EpochState | None = None
        self._wrapped: torch.nn.Module | None = None

    @property
    def is_done(self) -> bool:
        """Tell whether all epochs are over, or validation has long got no better."""
        patience = self.run.supervision.patience
        late = len(self.history) - self.best_epoch
        is_over = self.next_epoch >= self.run.settings.epochs
        return is_over or (patience is not None and late >= patience)

    def state(self, begun: EpochState | None = None) -> State:
        """Give all that going on needs, within an epoch with what was found in it so far."""
        return {
            "network": _tensors(self.network),
            "best": self.best,
            **self.optimizer.state(),
            "next_epoch": self.next_epoch,
            "best_epoch": self.best_epoch,
            "history": self.history,
            "begun": begun,
        }

    def load(self, state: State) -> None:
        """Go on from what `state` gave."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load(state)
        self.best, self.best_epoch = state["best"], state["best_epoch"]
        self.next_epoch, self.history = state["next_epoch"], state["history"]
        self.begun = state["begun"]

    def epoch(self, pause: Pause | None = None) -> Record:
        """Learn from all examples once, or from those that are left of them, then validate."""
        epoch, run, worker, begun = self.next_epoch, self.run, self.worker, self.begun
        start = time.monotonic() - (0.0 if begun is None else begun["seconds"])
        network = self._prepared(epoch)
        record = learn(run, network, self.optimizer, worker, epoch, begun, pause)
        self.begun = None
        record["learning_rate"] = self.optimizer.learning_rate
        if run.validate is not None:
            record |= validate(run, self.network, self.optimizer.precision, worker)
        record = record_from_first(record, worker)
        self.optimizer.end_epoch(record.get("validation_loss"))
        record |= {"epoch": epoch + 1, "seconds": time.monotonic() - start}
        self.next_epoch = epoch + 1
        self.history.append(record)
        if _is_last_best(run, self.history):
            self.best, self.best_epoch = _tensors(self.network), epoch + 1
        return record

    def _prepared(self, epoch: int) -> torch.nn.Module:
        """Set what of the network learns in an epoch, and give it as the group wraps it."""
        frozen_epochs = self.run.supervision.freeze_epochs
        if self._wrapped is None or epoch == frozen_epochs:
            for parameter in body_parameters(self.network) if frozen_epochs else ():
                parameter.requires_grad_(epoch >= frozen_epochs)
            self._wrapped = self._wrap()  # anew, or the group would share what it shared before
        self.network.train()
        if epoch < frozen_epochs:
            last = head(self.network)
            self.network.eval()
            self.network.get_submodule(last).train()
        if self.run.settings.batch_norm == "frozen":
            freeze(self.network)
        return self._wrapped

    def _wrap(self) -> torch.nn.Module:
        self._wrapped = None
        network = self.network
        if self.run.settings.compile:
            network = torch.compile(network)  # type: ignore[assignment]
        return self.worker.wrap(network)


class _Keeping:
    """Keeps checkpoints of one training; all workers of a group take part."""

    def __init__(self, training: OngoingTraining, checkpoints: Checkpoints) -> None:
        self._training, self._checkpoints = training, checkpoints
        self._every_s = training.run.settings.checkpoint_every_s
        self._kept_at = self._asked_at = time.monotonic()
        self._wait = self._left = 1

    def pause(self, so_far: Callable[[], EpochState]) -> None:
        """Keep a checkpoint if the first worker's clock says that it is time."""
        self._left -= 1
        if self._every_s is not None and self._left <= 0 and self._is_due(self._every_s):
            self.keep(so_far())

    def _is_due(self, every_s: float) -> bool:
        """Ask the first worker, who also says after how many pauses to ask again: in a second."""
        worker, now = self._training.worker, time.monotonic()
        spent = max(1e-9, now - self._asked_at)
        wait = self._wait * min(ASK_EVERY_S, every_s / 10) / spent
        own = [float(now - self._kept_at >= every_s), max(1.0, min(wait, 2.0 * self._wait))]
        due, wait = from_first(torch.tensor(own, device=worker.device), worker).tolist()
        self._asked_at, self._wait = now, int(wait)
        self._left = self._wait
        return bool(due)

    def keep(self, begun: EpochState | None) -> None:
        """Keep a checkpoint of an epoch that has begun, or between two epochs."""
        training = self._training
        position = Position(training.next_epoch, 0 if begun is None else begun["batches"])
        first_does(lambda: self._checkpoints.keep(position, training.state(begun)), training.worker)
        self._kept_at = time.monotonic()


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
