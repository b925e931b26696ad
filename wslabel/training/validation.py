"""Judge a network on the examples of validation, however many workers share them."""

from collections.abc import Iterator

import numpy as np
import torch

from wslabel.errors import TrainingError
from wslabel.training.batch import Batch
from wslabel.training.events import Record
from wslabel.training.mixed_precision import MixedPrecision
from wslabel.training.run import Run
from wslabel.training.worker_context import WorkerContext, total


@torch.no_grad()
def validate(
    run: Run, network: torch.nn.Module, precision: MixedPrecision, worker: WorkerContext
) -> Record:
    """Give the loss and the metrics of validation.

    Raises:
        TrainingError: Validation has no image whose label is known.
    """
    network.eval()
    sums = torch.zeros(2, dtype=torch.float64, device=worker.device)
    answers, targets = [], []
    for batch in _batches(run, worker):
        with precision.autocast():
            losses_N, answers_NK = run.objective.answers(network, batch, worker)
        weights_N = torch.from_numpy(batch.weights_N).to(worker.device)
        sums += torch.stack([(losses_N * weights_N).sum(), weights_N.sum()])
        counted = batch.weights_N > 0
        answers.append(answers_NK.float().cpu().numpy()[counted])
        targets.append(batch.targets_NK[counted])
    loss_sum, weight = total(sums, worker).tolist()
    if weight <= 0:
        raise _nothing_known(run)
    metrics = run.objective.metrics(*_of_all_workers(answers, targets, worker))
    named = {f"validation_{name}": value for name, value in metrics.items()}
    return {"validation_loss": loss_sum / max(weight, 1e-9)} | named


def _batches(run: Run, worker: WorkerContext) -> Iterator[Batch]:
    assert run.validate is not None
    return run.validate(0, worker.rank, worker.world_size)


def _nothing_known(run: Run) -> TrainingError:
    return TrainingError(
        f"{run.name}: validate_on: {run.supervision.validate_on} finds no "
        "image of the validation split whose label is known; enlarge images.split.val or "
        "set validate_on: null"
    )


def _of_all_workers(
    answers: list[np.ndarray], targets: list[np.ndarray], worker: WorkerContext
) -> tuple[np.ndarray, np.ndarray]:
    """Put together what all workers found."""
    parts = [(np.concatenate(answers), np.concatenate(targets))] if answers else []
    if worker.world_size > 1:
        gathered: list[list[tuple[np.ndarray, np.ndarray]]] = [[] for _ in range(worker.world_size)]
        torch.distributed.all_gather_object(gathered, parts)
        parts = [part for own in gathered for part in own]
    if not parts:
        return np.zeros((0, 1)), np.zeros((0, 1))
    all_answers, all_targets = zip(*parts, strict=True)
    return np.concatenate(all_answers), np.concatenate(all_targets)
