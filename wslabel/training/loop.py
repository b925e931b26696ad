"""Train one network: a plain loop over epochs that goes on from its last checkpoint.

All that is random follows from the seed, the epoch and the worker, so a run that was killed and
goes on ends with the very network of a run that was not.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch

from wslabel.errors import TrainingError
from wslabel.settings import Optimization
from wslabel.training.batch import Batch, Examples
from wslabel.training.board import Record
from wslabel.training.group import Place, total
from wslabel.training.networks import body_parameters, head
from wslabel.training.normalization import attend, freeze, synced
from wslabel.training.objectives import Objective

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
PLATEAU_EPOCHS = 3

State = dict[str, Any]
"""All that going on needs."""


@dataclass(frozen=True)
class Run:
    """One network to train.

    Attributes:
        name: of the network, for people.
        folder: under which it is kept.
        make: builds the network; called right after seeding.
        how: the settings.
        objective: what it is trained for.
        train: examples to learn from.
        validate: examples to choose the best epoch by; None keeps the last.
        card: what is written beside the network, before what training adds.
    """

    name: str
    folder: str
    make: Callable[[], torch.nn.Module]
    how: Optimization
    objective: Objective
    train: Examples
    validate: Examples | None = None
    card: dict[str, Any] = field(default_factory=dict)

    def option(self, name: str, default: Any) -> Any:
        """Give a setting that only some kinds of training have."""
        return getattr(self.how, name, default)


class Store(Protocol):
    """Where a run keeps its checkpoints."""

    def latest(self) -> State | None:
        """Give the newest checkpoint."""
        ...

    def keep(self, epoch: int, state: State) -> None:
        """Keep a checkpoint instead of the one before."""
        ...


@dataclass
class Fitted:
    """A trained network: tensors by name, and what each epoch was like."""

    tensors: dict[str, torch.Tensor]
    history: list[Record] = field(default_factory=list)
    best_epoch: int = 0


Tell = Callable[[Record], None]


def fit(
    run: Run,
    place: Place,
    found: State | None = None,
    store: Store | None = None,
    tell: Tell | None = None,
) -> Fitted:
    """Train a network from a fresh, seeded start, or go on from a checkpoint.

    Args:
        run: what to train.
        place: of this worker in its group.
        found: the checkpoint to go on from.
        store: of checkpoints; None keeps none.
        tell: is called after each epoch with its record.
    """
    training = _Training(run, place)
    if found is not None:
        training.load(found)
    while not training.is_done:
        record = training.epoch()
        if tell is not None:
            tell(record)
        if place.rank == 0 and store is not None:
            store.keep(training.next_epoch, training.state())
    return Fitted(training.best, training.history, training.best_epoch)


class _Training:
    """A network on its way, with all that a checkpoint must hold."""

    def __init__(self, run: Run, place: Place) -> None:
        self._run, self._place, self._how = run, place, run.how
        torch.manual_seed(run.how.seed)
        network = run.make().to(place.device)
        if run.how.batch_norm == "synced":
            network = synced(network, place)
        self.network = network
        self._set_up_steps()
        self.next_epoch = 0
        self.history: list[Record] = []
        self.best: dict[str, torch.Tensor] = {}
        self.best_epoch = 0
        self._wrapped: torch.nn.Module | None = None

    def _set_up_steps(self) -> None:
        how, place = self._how, self._place
        share = self._run.option("body_learning_rate", 1.0)
        groups: list[dict[str, Any]] = [{"params": list(self.network.parameters())}]
        if share != 1.0:
            body = list(body_parameters(self.network))
            others = {id(p) for p in body}
            rest = [p for p in self.network.parameters() if id(p) not in others]
            groups = [{"params": rest}, {"params": body, "lr": how.learning_rate * share}]
        self.optimizer = torch.optim.AdamW(
            groups, lr=how.learning_rate, weight_decay=how.weight_decay
        )
        self.schedule = _schedule(self.optimizer, how)
        precision = how.precision
        if precision == "auto":
            is_cuda = place.device.type == "cuda"
            precision = "bfloat16" if is_cuda and torch.cuda.is_bf16_supported() else "float32"
        self._dtype = PRECISIONS[precision]
        self._scaler = torch.amp.GradScaler(place.device.type, enabled=self._dtype == torch.float16)

    @property
    def is_done(self) -> bool:
        """Tell whether all epochs are over, or validation has long got no better."""
        patience = self._run.option("patience", None)
        late = len(self.history) - self.best_epoch
        return self.next_epoch >= self._how.epochs or (patience is not None and late >= patience)

    def state(self) -> State:
        """Give all that going on needs; what is random follows from seed and epoch."""
        return {
            "network": _tensors(self.network),
            "best": self.best,
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "scaler": self._scaler.state_dict(),
            "next_epoch": self.next_epoch,
            "best_epoch": self.best_epoch,
            "history": self.history,
        }

    def load(self, state: State) -> None:
        """Go on from what `state` gave."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self._scaler.load_state_dict(state["scaler"])
        self.best, self.best_epoch = state["best"], state["best_epoch"]
        self.next_epoch, self.history = state["next_epoch"], state["history"]

    def epoch(self) -> Record:
        """Learn from all examples once, then validate."""
        epoch, place = self.next_epoch, self._place
        torch.manual_seed(hash((self._how.seed, epoch, place.rank)) % 2**63)
        start = time.monotonic()
        self._prepare(epoch)
        record = self._learn(epoch)
        record["learning_rate"] = float(self.optimizer.param_groups[0]["lr"])
        if self._run.validate is not None:
            record |= self._validate()
        self._step_schedule(record)
        record |= {"epoch": epoch + 1, "seconds": time.monotonic() - start}
        self.next_epoch = epoch + 1
        self.history.append(record)
        if self._is_best(record):
            self.best, self.best_epoch = _tensors(self.network), epoch + 1
        return record

    def _prepare(self, epoch: int) -> None:
        """Thaw the body when its time has come; a group must know which gradients to share."""
        frozen = self._run.option("freeze_epochs", 0)
        if self._wrapped is None or epoch == frozen:
            for parameter in body_parameters(self.network) if frozen else ():
                parameter.requires_grad_(epoch >= frozen)
            self._wrapped = None  # or the group would go on sharing what it shared before
            network = self.network
            if self._how.compile:
                network = torch.compile(network)  # type: ignore[assignment]
            self._wrapped = self._place.wrap(network)
        self.network.train()
        if epoch < frozen:
            last = head(self.network)
            self.network.eval()
            self.network.get_submodule(last).train()
        if self._how.batch_norm == "frozen":
            freeze(self.network)

    def _learn(self, epoch: int) -> Record:
        assert self._wrapped is not None
        place, objective = self._place, self._run.objective
        start, waited, weight, count = time.monotonic(), 0.0, 0.0, 0
        # Added up where it is: to ask a GPU for it would be to wait for each step's end.
        loss_sum = torch.zeros(1, device=place.device)
        examples = self._run.train(epoch, place.rank, place.world_size)
        for batch, wait in _timed(examples):
            self.optimizer.zero_grad(set_to_none=True)
            if place.world_size > 1:
                attend(self.network, is_present=batch.sizes[place.rank] > 0)
            with self._autocast():
                loss = objective.loss(self._wrapped, batch, place, epoch)
            # A group averages gradients, and this loss is one worker's share of a sum.
            self._scaler.scale(loss * place.world_size).backward()  # type: ignore[no-untyped-call]
            self._scaler.step(self.optimizer)
            self._scaler.update()
            loss_sum, weight = loss_sum + loss.detach() * batch.total, weight + batch.total
            count, waited = count + batch.count, waited + wait
        mean = float(total(loss_sum, place.world_size)) / max(weight, 1e-9)
        took = max(1e-9, time.monotonic() - start)  # now that a GPU has done all steps
        self._refuse_nothing(weight, count, mean)
        return {"loss": mean, "images_per_s": count / took, "data_wait": waited / took}

    def _refuse_nothing(self, weight: float, count: int, loss: float) -> None:
        """Refuse what would end as the random network of the start, and look trained."""
        consistency = self._run.option("consistency", None)
        if count == 0 or (weight <= 0 and not (consistency and consistency.unlabeled)):
            raise TrainingError(
                f"{self._run.name}: there is no image to learn from; none of its splits has a "
                "label that counts (is confidence_threshold too high?)"
            )
        least = self._run.option("model_confidence_threshold", 0.0)
        if least and loss == 0.0 and self.next_epoch == 0:
            raise TrainingError(
                f"{self._run.name}: model_confidence_threshold: the fresh network is nowhere as "
                f"sure as {least:g}, so it learned nothing; lower it, or start from weights"
            )

    def _autocast(self) -> Any:
        if self._dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self._place.device.type, self._dtype)

    @torch.no_grad()
    def _validate(self) -> Record:
        assert self._run.validate is not None
        place, objective = self._place, self._run.objective
        self.network.eval()
        sums = torch.zeros(2, dtype=torch.float64, device=place.device)
        answers, targets = [], []
        for batch in self._run.validate(0, place.rank, place.world_size):
            with self._autocast():
                losses_N, found_NK = objective.answers(self.network, batch, place)
            weights_N = torch.from_numpy(batch.weights_N).to(place.device)
            sums += torch.stack([(losses_N * weights_N).sum(), weights_N.sum()])
            counted = batch.weights_N > 0
            answers.append(found_NK.float().cpu().numpy()[counted])
            targets.append(batch.targets_NK[counted])
        sums = total(sums, place.world_size)
        if float(sums[1]) <= 0:
            raise TrainingError(
                f"{self._run.name}: validate_on: {self._run.option('validate_on', None)} finds no "
                "image of the validation split whose label is known; enlarge images.split.val or "
                "set validate_on: null"
            )
        record = {"validation_loss": float(sums[0] / sums[1].clamp(min=1e-9))}
        said, wanted = _everywhere(answers, targets, place)
        metrics = objective.metrics(said, wanted)
        return record | {f"validation_{name}": value for name, value in metrics.items()}

    def _step_schedule(self, record: Record) -> None:
        if isinstance(self.schedule, torch.optim.lr_scheduler.ReduceLROnPlateau):
            self.schedule.step(record["validation_loss"])
        else:
            self.schedule.step()

    def _is_best(self, record: Record) -> bool:
        if self._run.validate is None:
            return True
        name = self._run.option("select_by", "loss")
        if f"validation_{name}" not in record:
            raise TrainingError(
                f"{self._run.name}: select_by: {name} is not defined where the validation split "
                "shows a single class; choose by loss or accuracy"
            )
        values = [r[f"validation_{name}"] for r in self.history]
        sign = -1.0 if name == "loss" else 1.0
        return all(sign * values[-1] > sign * value for value in values[:-1])


def _schedule(optimizer: torch.optim.Optimizer, how: Optimization) -> Any:
    library = torch.optim.lr_scheduler
    if how.schedule == "plateau":
        return library.ReduceLROnPlateau(optimizer, factor=0.1, patience=PLATEAU_EPOCHS)

    def constant(epoch: int) -> float:
        return min(1.0, (epoch + 1) / (how.warmup_epochs + 1))

    def cosine(epoch: int) -> float:
        share = max(0, epoch - how.warmup_epochs) / max(1, how.epochs - how.warmup_epochs)
        return constant(epoch) * 0.5 * (1 + float(np.cos(np.pi * share)))

    return library.LambdaLR(optimizer, cosine if how.schedule == "cosine" else constant)


def _timed(batches: Iterator[Batch]) -> Iterator[tuple[Batch, float]]:
    """Tell of each batch how long it was waited for."""
    while True:
        start = time.monotonic()
        batch = next(batches, None)
        if batch is None:
            return
        yield batch, time.monotonic() - start


def _everywhere(
    answers: list[np.ndarray], targets: list[np.ndarray], place: Place
) -> tuple[np.ndarray, np.ndarray]:
    """Put together what all workers found."""
    mine = [(np.concatenate(answers), np.concatenate(targets))] if answers else []
    if place.world_size > 1:
        gathered: list[Any] = [None] * place.world_size
        torch.distributed.all_gather_object(gathered, mine)
        mine = [part for parts in gathered for part in parts]
    if not mine:
        return np.zeros((0, 1)), np.zeros((0, 1))
    said, wanted = zip(*mine, strict=True)
    return np.concatenate(said), np.concatenate(wanted)


def _tensors(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {k: v.detach().cpu().clone() for k, v in network.state_dict().items()}
