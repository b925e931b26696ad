"""Train networks in workers of a cluster; the door to Ray Train."""

import json
import logging
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import ray.train
import ray.train.torch
import safetensors.torch
import torch

from wslabel.training.loop import Fitted, Place, Run, fit

Keep = Callable[[str, bytes], object]
"""Stores a trained network under the name of its run."""


def train(runs: Sequence[Run], keep: Keep, *, workers: int, use_gpu: bool) -> None:
    """Train networks one after another in one group of workers; each is kept when it is done."""
    logging.getLogger("ray.train").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="wslabel-train-") as folder:
        trainer = ray.train.torch.TorchTrainer(
            _work,
            train_loop_config={"runs": list(runs), "keep": keep},
            scaling_config=ray.train.ScalingConfig(num_workers=workers, use_gpu=use_gpu),
            run_config=ray.train.RunConfig(name="wslabel", storage_path=folder),
        )
        trainer.fit()


def _work(config: dict[str, Any]) -> None:
    context = ray.train.get_context()
    place = Place(
        context.get_world_rank(),
        context.get_world_size(),
        ray.train.torch.get_device(),
        _wrap if context.get_world_size() > 1 else _leave,
    )
    for run in config["runs"]:
        fitted = fit(run, place)
        if place.rank == 0:
            config["keep"](run.name, serialize(fitted))
        ray.train.report({"loss": fitted.losses[-1]})


def _wrap(module: torch.nn.Module) -> torch.nn.Module:
    wrapped: torch.nn.Module = ray.train.torch.prepare_model(module)
    return wrapped


def _leave(module: torch.nn.Module) -> torch.nn.Module:
    return module


def serialize(fitted: Fitted) -> bytes:
    """Turn a trained network into a safetensors file whose metadata holds its losses."""
    losses = {"losses": fitted.losses, "validation_losses": fitted.validation_losses}
    # One key only: safetensors writes several in an order that differs from run to run.
    metadata = {"training": json.dumps(losses)}
    return safetensors.torch.save(fitted.tensors, metadata)
