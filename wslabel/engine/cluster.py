"""The Ray cluster: connect to the one there is, or start one on this machine."""

import logging
import os
import secrets
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import AuthenticationError
from ray.job_config import JobConfig
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from wslabel.engine.gpus import keep_to
from wslabel.engine.memory import ENVIRONMENT
from wslabel.engine.plan import Node, Resources
from wslabel.errors import ClusterError


def connect() -> Resources:
    """Connect to the cluster at RAY_ADDRESS, else start a cluster on this machine.

    Raises:
        ClusterError: Nobody answers at the address, or asks for another token.
    """
    if not ray.is_initialized():
        address = os.environ.get("RAY_ADDRESS") or "local"
        for name, value in ENVIRONMENT.items():  # of the workers that will be started here
            os.environ.setdefault(name, value)
        # Whatever else runs in workers without a GPU must not see one either.
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "1")
        # Ray's C++ side prints to the terminal, of retries that went well too.
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
        if address == "local":
            _keep_token_private()
        with _quiet_start():
            _join(address)
    alive = (node["Resources"] for node in ray.nodes() if node["Alive"])
    return Resources(tuple(Node(has.get("CPU", 0.0), has.get("GPU", 0.0)) for has in alive))


def _join(address: str) -> None:
    is_ours = address == "local"
    try:
        ray.init(
            address=address,
            log_to_driver=False,
            logging_level=logging.ERROR,
            configure_logging=True,
            job_config=_Job(),
            **({"include_dashboard": False} if is_ours else {}),
        )
    except (AuthenticationError, ConnectionError) as error:
        # Of a token that the cluster refuses Ray tells in the text of the cause alone.
        is_refused = isinstance(error, AuthenticationError) or "AuthToken" in str(error.__cause__)
        if is_ours and not is_refused:
            raise
        # A token goes to no address that nobody said it is for, so the mode is never guessed.
        told = (
            "the cluster asks for the token that it was started with; set RAY_AUTH_MODE=token, and "
            "put the token in ~/.ray/auth_token, in RAY_AUTH_TOKEN, or in the file that "
            "RAY_AUTH_TOKEN_PATH names"
            if is_refused
            else "no cluster of Ray answers there; start it, or name no address to have one "
            "started on this machine"
        )
        raise ClusterError(f"{address}: {told}") from error


def _keep_token_private() -> None:
    """Let nobody else on this machine read the token with which clusters on it start.

    Ray makes the file where there is none, and lets everybody read it.
    """
    if os.environ.get("RAY_AUTH_MODE", "token").lower() != "token":
        return
    if os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH"):
        return
    token = Path.home() / ".ray" / "auth_token"
    if not token.exists():
        token.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=token.parent) as draft:  # its owner's alone
            draft.write(secrets.token_hex(32))
            draft.flush()
            with suppress(FileExistsError):  # another run has just made one
                os.link(draft.name, token)
    if token.stat().st_mode & 0o077:
        token.chmod(0o600)


class _Job(JobConfig):  # type: ignore[misc]
    """What workers are told of this process, on which they import from where it does itself.

    Ray would let them import from the current folder first, which may be one of strangers' data.
    """

    _py_driver_sys_path: list[str]

    def _serialize(self) -> Any:
        own = {os.path.abspath(folder) for folder in sys.path}
        self._py_driver_sys_path = [path for path in self._py_driver_sys_path if path in own]
        self._cached_pb = None
        return super()._serialize()


def is_connected() -> bool:
    """Tell whether this process is connected to a cluster."""
    return bool(ray.is_initialized())


def disconnect() -> None:
    """Leave the cluster; one that `connect` started ends."""
    if ray.is_initialized():
        ray.shutdown()


def keep_to_own_gpus() -> None:
    """Let this process, a worker, use the GPUs that its task or actor reserved, and no others."""
    keep_to(ray.get_runtime_context().get_accelerator_ids().get("GPU", []))


def beside_driver(kind: type) -> Any:
    """Start an actor that a run cannot lose: it sits where the driver does, and comes back.

    The end of the driver's node is the run's anyway. An actor whose process alone dies starts
    anew, empty, and calls to it are made again.
    """
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    survivor = ray.remote(
        num_cpus=0, scheduling_strategy=here, max_restarts=-1, max_task_retries=-1
    )
    return survivor(kind).remote()


@contextmanager
def _quiet_start() -> Iterator[None]:
    """Keep what Ray's C++ side prints while it starts; show it only where the start fails.

    It tells on standard error that it was told to be quiet, which no setting turns off.
    """
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except ClusterError:  # which says it all
            raise
        except BaseException:
            kept.seek(0)
            os.write(terminal, kept.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
