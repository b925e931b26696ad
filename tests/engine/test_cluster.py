"""The cluster there is gets joined; how a start sounds is heard only where it fails."""

import os

import pytest

from wslabel.config.engine import Engine
from wslabel.engine.cluster import _quiet_start, connect, is_connected
from wslabel.engine.plan import Node, Resources


@pytest.mark.usefixtures("cluster")
def test_a_cluster_that_is_there_is_joined_and_told() -> None:
    assert is_connected()
    assert connect(Engine()) == Resources((Node(cpus=2.0, gpus=0.0),))


def test_a_start_that_goes_well_is_silent(capfd: pytest.CaptureFixture[str]) -> None:
    with _quiet_start():
        os.write(2, b"Set ray log level from environment variable")
    os.write(2, b"afterwards")
    assert capfd.readouterr().err == "afterwards"


def fail_to_start() -> None:
    with _quiet_start():
        os.write(2, b"port 6379 is taken\n")
        raise RuntimeError("no cluster")


def test_a_start_that_fails_tells_what_was_printed(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError, match="no cluster"):
        fail_to_start()
    assert capfd.readouterr().err == "port 6379 is taken\n"
