"""The cluster there is gets joined; how a start sounds is heard only where it fails."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from wslabel.engine.cluster import (
    _Job,
    _keep_token_private,
    _quiet_start,
    connect,
    is_connected,
)
from wslabel.engine.plan import Node, Resources


@pytest.mark.usefixtures("cluster")
def test_a_cluster_that_is_there_is_joined_and_told() -> None:
    assert is_connected()
    assert connect() == Resources((Node(cpus=2.0, gpus=0.0),))


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


def test_without_the_token_that_it_was_told_of_a_run_is_refused(tmp_path: Path) -> None:
    asks = "from wslabel.engine.cluster import connect; connect()"
    known = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    known |= {"HOME": str(tmp_path), "RAY_AUTH_MODE": "token", "RAY_ADDRESS": "127.0.0.1:1"}
    words = [sys.executable, "-c", asks]
    done = subprocess.run(words, env=known, capture_output=True, text=True, check=False)
    assert "ClusterError: 127.0.0.1:1: the cluster asks for the token" in done.stderr


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path / ".ray" / "auth_token"


def test_the_token_of_this_machine_is_made_for_its_user_alone(token: Path) -> None:
    _keep_token_private()
    first = token.read_text()
    assert len(first) == 64
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    _keep_token_private()
    assert token.read_text() == first
    assert [file.name for file in token.parent.iterdir()] == ["auth_token"]


def test_a_token_that_others_can_read_is_closed(token: Path) -> None:
    token.parent.mkdir()
    token.write_text("secret")
    token.chmod(0o644)
    _keep_token_private()
    assert token.read_text() == "secret"
    assert stat.S_IMODE(token.stat().st_mode) == 0o600


def test_a_token_that_lies_elsewhere_is_left_there(
    token: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "secret")
    _keep_token_private()
    assert not token.exists()


def test_workers_are_told_of_no_folder_from_which_this_process_imports_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = str(tmp_path / "own")
    monkeypatch.syspath_prepend(own)
    job = _Job(_py_driver_sys_path=[own, str(tmp_path)])
    job._serialize()
    assert job._py_driver_sys_path == [own]


IMPORTS = """
import ray
from wslabel.engine.cluster import connect
connect()
print(ray.get(ray.remote(lambda: __import__("colorsys").__file__).remote()))
"""


@pytest.mark.long
def test_workers_import_nothing_from_the_current_folder(tmp_path: Path) -> None:
    """It may be one of strangers' images, and Ray itself would put it first."""
    (tmp_path / "colorsys.py").write_text("")
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    environment.pop("RAY_ADDRESS", None)
    command = [sys.executable, "-P", "-c", IMPORTS]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip().endswith("colorsys.py")
    assert str(tmp_path) not in done.stdout
