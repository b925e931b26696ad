"""The Ray cluster: connect to the one there is, or start one on this machine."""

import logging
import os
from dataclasses import dataclass

import ray

from wslabel.engine.memory import ENVIRONMENT
from wslabel.settings import Engine


@dataclass(frozen=True)
class Resources:
    """What a cluster has in all, busy or not."""

    cpus: float
    gpus: float = 0.0


def connect(engine: Engine) -> Resources:
    """Connect to `engine.address` or RAY_ADDRESS, else start a cluster on this machine."""
    if not ray.is_initialized():
        address = engine.address or os.environ.get("RAY_ADDRESS") or "local"
        options = {"include_dashboard": False} if address == "local" else {}
        for name, value in ENVIRONMENT.items():  # of the workers that will be started here
            os.environ.setdefault(name, value)
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        # Ray's C++ side prints to the terminal, of retries that went well too.
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
        ray.init(
            address=address,
            log_to_driver=False,
            logging_level=logging.ERROR,
            configure_logging=True,
            **options,
        )
    found = ray.cluster_resources()
    return Resources(found.get("CPU", 0.0), found.get("GPU", 0.0))


def is_connected() -> bool:
    """Tell whether this process has had a reason to use Ray."""
    return bool(ray.is_initialized())


def disconnect() -> None:
    """Leave the cluster; one that `connect` started ends."""
    if ray.is_initialized():
        ray.shutdown()
