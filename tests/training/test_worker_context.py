"""Two real workers share gradients and learn what one learns from the same batches."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.training.toys import Arrays, a_run, a_training, blobs, in_a_group_of_two, pictures
from wslabel.config.preprocess import Preprocess
from wslabel.errors import TrainingError
from wslabel.networks.factory import Builder, BuildOnImages, BuildProjecting
from wslabel.training import worker_context
from wslabel.training.loop import fit
from wslabel.training.objectives import Objective
from wslabel.training.run import Run
from wslabel.training.self_supervised import Rotation, SimClr
from wslabel.training.worker_context import (
    WorkerContext,
    bytes_from_first,
    first_does,
    from_first,
    record_from_first,
)

PREPROCESS = Preprocess(resize=8, crop=8)
TOLERANCE = 5e-4
COARSE = {"bfloat16": 60}
"""How much more differs in half precision: as much as it does from full precision."""
CNN = {"network": "cnn", "epochs": 2, "learning_rate": 0.01}


class NormAct(torch.nn.BatchNorm2d):
    """A normalization that carries what comes after it, as timm's do."""

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.act = torch.nn.ReLU()

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return self.act(super().forward(values))


def bare(outputs: int = 2) -> torch.nn.Module:
    """A small network with both kinds of batch normalization and without dropout."""
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3, bias=False), NormAct(4), torch.nn.Conv2d(4, 6, 3, bias=False),
        torch.nn.BatchNorm2d(6, affine=False, momentum=None), torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(), torch.nn.Linear(6, outputs),
    )  # fmt: skip


def four() -> torch.nn.Module:
    return bare(4)


def on_images(**more: Any) -> dict[str, Any]:
    return {"build": BuildOnImages(bare, PREPROCESS), "validate": pictures(9, 4, seed=5)} | more


def masked(size: int) -> Arrays:
    examples = pictures(size, 8)
    return replace(examples, weights=np.linspace(-1, 2, size).clip(0).astype(np.float32))


def views(size: int, batch_size: int = 8) -> Arrays:
    examples = pictures(size, batch_size)
    noise = np.random.default_rng(1).integers(0, 60, examples.inputs.shape)
    return replace(examples, other=(examples.inputs // 2 + noise).astype(np.uint8))


def alone(objective: Objective, build: Builder) -> Run:
    return Run(
        name="body",
        folder="models/body",
        build=build,
        settings=a_training(**CNN),
        objective=objective,
        train=views(21),
    )


def runs() -> dict[str, Run]:
    """Give all that a group must learn as one worker does."""
    consistency = {"augment": {}, "consistency": {"kind": "kl", "unlabeled": True}}
    frozen = {"freeze_epochs": 1, "body_learning_rate": 0.5}
    projecting = BuildProjecting(BuildOnImages(bare, PREPROCESS), 5)
    return {
        "linear": a_run(validate=blobs(20, 7, seed=1)),
        "unequal last batch": a_run(train=blobs(51, 16)),
        "an empty part": a_run(train=blobs(1, 16)),
        "synced": a_run(train=pictures(20, 8), settings=CNN, **on_images()),
        "synced, unequal and masked": a_run(train=masked(21), settings=CNN, **on_images()),
        "synced, empty parts": a_run(train=pictures(15, 2), settings=CNN, **on_images()),
        "bfloat16": a_run(
            train=pictures(20, 8), settings=CNN | {"precision": "bfloat16"}, **on_images()
        ),
        "frozen": a_run(train=masked(21), settings=CNN | {"batch_norm": "frozen"}, **on_images()),
        "unsure": a_run(
            train=masked(21), settings=CNN | {"model_confidence_threshold": 0.52}, **on_images()
        ),
        "frozen body": a_run(train=pictures(20, 8), settings=CNN | frozen, **on_images()),
        "consistency": a_run(train=views(21), settings=CNN | consistency, **on_images()),
        "consistency, empty parts": a_run(
            train=views(15, 2), settings=CNN | consistency, **on_images()
        ),
        "chosen": a_run(
            train=pictures(20, 8),
            settings=CNN | {"validate_on": "weak", "select_by": "roc_auc"},
            **on_images(),
        ),
        "rotation": alone(Rotation(), BuildOnImages(four, PREPROCESS)),
        "simclr": alone(SimClr(0.5), projecting),
        "simclr, empty parts": replace(alone(SimClr(0.5), projecting), train=views(15, 2)),
    }


def work(worker: WorkerContext, folder: str) -> None:
    local = a_run(train=pictures(20, 8), settings=CNN | {"batch_norm": "local"}, **on_images())
    for name, run in (runs() | {"local": local}).items():
        fitted = fit(run, worker)
        torch.save([fitted.tensors, fitted.history], Path(folder, f"{name}-{worker.rank}.pt"))
    torch.save(exchanged(worker), Path(folder, f"exchanged-{worker.rank}.pt"))


def exchanged(worker: WorkerContext) -> list[Any]:
    """What a worker has after each exchange, having brought something of its own."""
    mine = np.arange(10, dtype=np.uint8) + 10 * worker.rank
    worker_context.SENT_BYTES = 4
    return [
        from_first(torch.tensor([worker.rank + 0.5]), worker).tolist(),
        record_from_first({"loss": worker.rank + 0.1}, worker),
        bytes(bytes_from_first(mine.tobytes(), worker)),
        bytes_from_first(None if worker.is_first else mine, worker),
        what_is_done(worker, fails=False),
        what_is_done(worker, fails=True),
    ]


def what_is_done(worker: WorkerContext, *, fails: bool) -> list[str]:
    done = list[str]()

    def action() -> None:
        done.append("done")
        if fails:
            raise OSError("no room")

    try:
        first_does(action, worker)
    except (OSError, TrainingError) as error:
        done.append(f"{type(error).__name__}: {error}")
    return done


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What each of two workers ends with."""
    folder = tmp_path_factory.mktemp("group")
    in_a_group_of_two(work, str(folder))
    return folder


def test_the_first_worker_tells_and_acts_for_all(together: Path) -> None:
    told = [[0.5], {"loss": 0.1}, bytes(range(10)), None]
    first, second = (torch.load(together / f"exchanged-{rank}.pt") for rank in range(2))
    assert first == [*told, ["done"], ["done", "OSError: no room"]]
    # The others do not act, and do not wait for one that failed.
    assert second == [*told, [], ["TrainingError: the first worker of the group failed"]]


@pytest.mark.parametrize("name", runs())
def test_a_group_learns_what_one_worker_learns(together: Path, name: str) -> None:
    expected, coarse = fit(runs()[name], WorkerContext()), COARSE.get(name, 1)
    for rank in range(2):
        tensors, history = torch.load(together / f"{name}-{rank}.pt")
        for key, tensor in expected.tensors.items():
            assert torch.allclose(tensors[key], tensor, atol=coarse * TOLERANCE), (key, rank)
        for ours, theirs in zip(history, expected.history, strict=True):
            for key in ("loss", "validation_loss", "validation_accuracy", "validation_roc_auc"):
                if key in theirs:
                    assert ours[key] == pytest.approx(theirs[key], rel=coarse * 1e-3, abs=1e-5), key


def test_statistics_of_each_worker_alone_would_be_seen(together: Path) -> None:
    """The comparison above is fine enough to tell them from those of the whole batch."""
    tensors, _ = torch.load(together / "local-0.pt")
    expected = fit(runs()["synced"], WorkerContext()).tensors
    apart = max((tensors[k].float() - t.float()).abs().max().item() for k, t in expected.items())
    assert apart > 10 * TOLERANCE
