"""A cluster as `cluster.yaml` starts it works for who has the token, and for nobody else."""

import os
import secrets
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import yaml

from tests.conftest import tiny_config, write_config
from tests.test_cluster import ROOT, free_port

pytestmark = pytest.mark.long

CLUSTER = yaml.safe_load((ROOT / "cluster.yaml").read_text())
RAY = Path(sys.executable).with_name("ray")
REFUSED = "the token"


@dataclass(frozen=True)
class Started:
    """A head and a worker on this machine, and the environment of somebody with the token."""

    address: str
    member: dict[str, str]

    def stranger(self, home: Path, **more: str) -> dict[str, str]:
        """The environment of somebody whose home holds no token."""
        home.mkdir(exist_ok=True)
        without = {k: v for k, v in self.member.items() if not k.startswith("RAY_AUTH")}
        return without | {"HOME": str(home)} | more


def shell(command: str, environment: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as sink:
        return subprocess.Popen(
            ["bash", "-c", f"exec env {command}"],
            env=environment,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def end(process: subprocess.Popen[bytes]) -> None:
    for child in (*psutil.Process(process.pid).children(recursive=True), process):
        with suppress(psutil.NoSuchProcess):
            child.kill()
    process.wait()


@pytest.fixture(scope="module")
def started() -> Iterator[Started]:
    """The start commands of the file, with other ports and without what only AWS has."""
    place = Path(tempfile.mkdtemp(prefix="r", dir="/tmp"))  # sockets have short names
    token = place / "home" / ".ray" / "auth_token"
    token.parent.mkdir(parents=True)
    token.write_text(secrets.token_hex(32))
    port, dashboard = free_port(), free_port()
    outside = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    outside |= {"HOME": str(place / "home"), "PATH": f"{RAY.parent}:{outside['PATH']}"}
    outside |= {"RAY_HEAD_IP": "127.0.0.1", "PYTHONPATH": str(ROOT)}
    here = f"--block --disable-usage-stats --dashboard-agent-listen-port={free_port()}"
    head = CLUSTER["head_start_ray_commands"][-1].replace("--port=6379", f"--port={port}")
    head = head.replace("--autoscaling-config=~/ray_bootstrap_config.yaml", here)
    head += f" --num-cpus=0 --dashboard-port={dashboard} --temp-dir={place}"
    there = f"--block --num-cpus=2 --dashboard-agent-listen-port={free_port()}"
    worker = CLUSTER["worker_start_ray_commands"][-1].replace(":6379", f":{port} {there}")
    member = outside | {"RAY_AUTH_MODE": "token"}
    member["RAY_API_SERVER_ADDRESS"] = f"http://127.0.0.1:{dashboard}"
    processes = [shell(head, outside, place / "head.log")]
    try:
        time.sleep(8)
        processes.append(shell(worker, outside, place / "worker.log"))
        wait_for_jobs(member, place)
        yield Started(f"127.0.0.1:{port}", member)
    finally:
        for process in processes:
            end(process)
        shutil.rmtree(place, ignore_errors=True)


def wait_for_jobs(member: dict[str, str], place: Path) -> None:
    # It answers before it can start a job, and leaves a job of that time waiting for ever.
    probe = [RAY, "job", "submit", "--", "true"]
    for _ in range(8):
        time.sleep(5)
        with suppress(subprocess.TimeoutExpired):
            if not subprocess.run(probe, env=member, timeout=25, check=False).returncode:
                return
    said = [(place / name).read_text()[-2000:] for name in ("head.log", "worker.log")]
    pytest.fail("no cluster came up: " + "\n".join(said))


def run(config: Path, address: str, environment: dict[str, str]) -> "Done":
    words = [sys.executable, "-m", "wslabel", "run", config, "--until", "featurize"]
    known = environment | {"RAY_ADDRESS": address}
    return subprocess.run(
        words, env=known, capture_output=True, text=True, check=False, timeout=200
    )


Done = subprocess.CompletedProcess[str]


@pytest.fixture
def project(scenes: Path, tmp_path: Path) -> Path:
    return write_config(tmp_path / "p.yaml", tiny_config(scenes, workspace=str(tmp_path / "ws")))


def test_who_has_the_token_runs(started: Started, project: Path) -> None:
    done = run(project, started.address, started.member)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "featurize  8 of 8 made" in done.stdout


def test_who_has_the_token_submits(started: Started, project: Path, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "jobs", tmp_path / "job" / "jobs")
    shutil.copy(project, tmp_path / "job")
    words = [RAY, "job", "submit", "--working-dir", tmp_path / "job", "--"]
    words += ["python", "jobs/run.py", "p.yaml", "--until", "featurize"]
    done = subprocess.run(words, env=started.member, capture_output=True, text=True, check=False)
    assert "succeeded" in done.stdout, done.stdout + done.stderr


WRONG = [
    pytest.param({}, id="none"),
    pytest.param({"RAY_AUTH_MODE": "token"}, id="none-though-asked-for"),
    pytest.param({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "f" * 64}, id="wrong"),
]


@pytest.mark.parametrize("wrong", WRONG)
def test_others_are_refused_in_a_sentence(
    started: Started, project: Path, tmp_path: Path, wrong: dict[str, str]
) -> None:
    done = run(project, started.address, started.stranger(tmp_path / "home", **wrong))
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"wslabel: {started.address}: ")
    assert REFUSED in line


@pytest.mark.parametrize("wrong", WRONG)
def test_others_submit_no_job(started: Started, tmp_path: Path, wrong: dict[str, str]) -> None:
    mark = tmp_path / "ran"
    words = [RAY, "job", "submit", "--", "touch", str(mark)]
    other = started.stranger(tmp_path / "home", **wrong)
    done = subprocess.run(words, env=other, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert not mark.exists()


def test_a_worker_without_the_token_does_not_join(started: Started, tmp_path: Path) -> None:
    words = shlex.split(f"{RAY} start --address={started.address} --num-cpus=1")
    other = started.stranger(tmp_path / "home", RAY_AUTH_MODE="token", RAY_AUTH_TOKEN="f" * 64)
    done = subprocess.run(words, env=other, capture_output=True, text=True, check=False)
    assert done.returncode != 0
