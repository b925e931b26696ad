"""A cluster makes the tables that a run on this machine makes, and survives the loss of nodes."""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.conftest import tiny_config, write_config
from tests.kill.runs import contents, same
from wslabel import pipeline
from wslabel.project.loading import load

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[1]
RAY = Path(sys.executable).with_name("ray")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def head() -> Iterator[dict[str, str]]:
    """A cluster of its own, as `ray start --head` makes it; gives the environment of its users."""
    environment = {k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"}
    environment |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    environment["PATH"] = f"{RAY.parent}:{environment['PATH']}"
    # Agents of two clusters on one machine would want the same port, and the second starts no job.
    port, dashboard, agent = (free_port() for _ in range(3))
    # Sockets lie under it, whose names must be short.
    place = tempfile.mkdtemp(prefix="r", dir="/tmp")
    words = [RAY, "start", "--head", "--block", "--num-cpus=2", "--disable-usage-stats"]
    words += [f"--port={port}", f"--dashboard-port={dashboard}", f"--temp-dir={place}"]
    words += [f"--dashboard-agent-listen-port={agent}"]
    log = Path(place, "start.log")
    with log.open("wb") as sink:
        ray = subprocess.Popen(words, env=environment, stdout=sink, stderr=subprocess.STDOUT)
    environment["RAY_API_SERVER_ADDRESS"] = f"http://127.0.0.1:{dashboard}"
    # It answers before it can start a job, and leaves a job of that time waiting for ever.
    probe = [RAY, "job", "submit", "--", "true"]
    for _ in range(8):
        time.sleep(5)
        with suppress(subprocess.TimeoutExpired):
            if not subprocess.run(probe, env=environment, timeout=25, check=False).returncode:
                break
    else:
        ray.kill()
        pytest.fail(f"no cluster came up: {log.read_text()[-2000:]}")
    yield environment
    for process in (*psutil.Process(ray.pid).children(recursive=True), ray):
        process.kill()
    ray.wait()
    shutil.rmtree(place, ignore_errors=True)


def submit(head: dict[str, str], folder: Path, config: str) -> subprocess.CompletedProcess[str]:
    words = [RAY, "job", "submit", "--working-dir", folder, "--", "python", "jobs/run.py", config]
    return subprocess.run(words, env=head, capture_output=True, text=True, check=False, timeout=300)


def test_a_submitted_job_makes_the_same_tables(
    head: dict[str, str], scenes: Path, tmp_path: Path, cluster: None
) -> None:
    folder = tmp_path / "project"
    shutil.copytree(ROOT / "jobs", folder / "jobs")
    (folder / "configs").mkdir()
    far = tiny_config(scenes, workspace=str(tmp_path / "far"))
    write_config(folder / "configs" / "p.yaml", far)
    done = submit(head, folder, "configs/p.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "succeeded" in done.stdout
    for part in ("ingest     8 of 8 made", "Labeling functions", "label model", "majority vote"):
        assert part in done.stdout
    near = write_config(tmp_path / "near.yaml", tiny_config(scenes, workspace="near"))
    list(pipeline.run(load(near)))
    same(contents(str(tmp_path / "far")), contents(str(tmp_path / "near")))


def test_a_wrong_project_fails_the_job_in_a_sentence(head: dict[str, str], tmp_path: Path) -> None:
    shutil.copytree(ROOT / "jobs", tmp_path / "jobs")
    (tmp_path / "p.yaml").write_text("classes: [a]\n")
    done = submit(head, tmp_path, "p.yaml")
    assert done.returncode != 0
    assert "workspace: this key is missing" in done.stdout
    assert "Traceback" not in done.stdout


def test_a_stranger_may_not_submit(head: dict[str, str], tmp_path: Path) -> None:
    stranger = head | {"RAY_AUTH_TOKEN": secrets.token_hex(32)}
    done = submit(stranger, tmp_path, "p.yaml")
    assert done.returncode != 0
    assert "authentication" in done.stderr


def test_a_job_goes_on_whichever_node_is_lost() -> None:
    with tempfile.TemporaryDirectory(prefix="r", dir="/tmp") as place:
        environment = {k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"} | {
            "RAY_TMPDIR": place,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
        }
        command = [sys.executable, "-m", "tests.engine.lose_nodes"]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=300
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == list(range(40))
