"""Images per second of training EfficientNet-B0 at 224 px, over a plain PyTorch loop.

The plain loop reads the same JPEGs from files through a DataLoader with two processes, resizes,
crops and flips them with torchvision, and trains the same network in float32 with AdamW. Both take
turns of an epoch in one process on all threads. Beside it a plain loop whose tensors are
channels last, too. Neither keeps decoded images: what is measured holds for more of them than fit.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torchvision
from PIL import Image
from torchvision.transforms import v2

from tests.benchmarks.training import FINE, project, thumbnails
from wslabel.examples.decoded_images import DecodedImages
from wslabel.stages.train.runs import training_run
from wslabel.training.loop import OngoingTraining
from wslabel.training.worker_context import WorkerContext
from wslabel.workspace.workspace import Workspace

COUNT, BATCH_SIZE, TURNS = 142, 16, 3
NETWORK = "torchvision/efficientnet_b0"


class Files(torch.utils.data.Dataset[tuple[torch.Tensor, int]]):
    """The plain loop's data set."""

    def __init__(self, folder: Path) -> None:
        self._paths = sorted(folder.iterdir())
        self._transform = v2.Compose(
            [
                v2.Resize(FINE["resize"]),
                v2.CenterCrop(FINE["crop"]),
                v2.RandomHorizontalFlip(),
                v2.ToImage(),
                v2.ToDtype(torch.float32, scale=True),
                v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
            ]
        )

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self._transform(Image.open(self._paths[index]).convert("RGB")), index % 2


def plain(folder: Path, memory_format: torch.memory_format) -> Callable[[], int]:
    torch.manual_seed(0)
    network = torchvision.models.efficientnet_b0(num_classes=2).to(memory_format=memory_format)
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3, weight_decay=1e-4)
    loader = torch.utils.data.DataLoader(
        Files(folder), BATCH_SIZE, shuffle=True, num_workers=2, persistent_workers=True
    )

    def epoch() -> int:
        network.train()
        count = 0
        for images, targets in loader:
            images = images.to(memory_format=memory_format)
            loss = torch.nn.functional.cross_entropy(network(images), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            count += len(images)
        return count

    return epoch


def ours(root: Path) -> tuple[Callable[[], int], list[dict[str, float]]]:
    training = {"network": NETWORK, "preprocess": FINE, "batch_size": BATCH_SIZE, "augment": {}}
    workspace = Workspace(project(root / "ours", COUNT, training | {"epochs": 100}))
    run = training_run(workspace, workspace.networks["original"], DecodedImages(0))
    ongoing = OngoingTraining(run, WorkerContext())
    count = sum(batch.count for batch in run.train(0, 0, 1))

    def epoch() -> int:
        ongoing.epoch()
        return count

    return epoch, ongoing.history


def measure() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "files").mkdir()
        mine, history = ours(root)
        count = mine()
        for index, data in enumerate(thumbnails(count)):
            (root / "files" / f"{index:04d}.jpg").write_bytes(data)
        loops = {
            "ours": mine,
            "plain": plain(root / "files", torch.contiguous_format),
            "plain_channels_last": plain(root / "files", torch.channels_last),
        }
        images, seconds = dict.fromkeys(loops, 0), dict.fromkeys(loops, 0.0)
        for loop in loops.values():
            loop()  # threads, processes and memory are there
        for _ in range(TURNS):
            for key, loop in loops.items():
                begun = time.perf_counter()
                images[key] += loop()
                seconds[key] += time.perf_counter() - begun
    rates = {key: images[key] / seconds[key] for key in loops}
    waits = [record["data_wait"] for record in history[2:]]
    detail = {
        "images_per_s": rates,
        "over_channels_last": rates["ours"] / rates["plain_channels_last"],
        "data_wait": sum(waits) / len(waits),
        "threads": torch.get_num_threads(),
    }
    return {"value": rates["ours"] / rates["plain"], "unit": "ratio", "detail": detail}
