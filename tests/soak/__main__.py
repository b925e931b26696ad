"""Kill a run of the demo at many random moments: drivers, actors, workers, nodes, heads.

`make soak`, or `python -m tests.soak --kills 200`: half of the kills on a local disk and half on an
S3 server, on a cluster of three nodes on this machine. Runs go on until they end; then what they
made is compared with what a run made that nothing disturbed, and they begin anew. One JSON line per
kill and per comparison, and a summary.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
import safetensors.numpy
import yaml

from tests.kill.runs import COMMAND, contents
from tests.soak.three_nodes import ThreeNodes
from wslabel.config.base import S3
from wslabel.storage.location import Location

ROOT = Path(__file__).parents[2]
KINDS = ("driver", "actor", "worker", "node", "head")
LONGEST_S = 900.0
"""Without an end for so long after the last kill, a run is taken to hang."""

ENDS = (0, 3)
"""Done, or told to run again."""


def config(folder: Path, workspace: str, count: int, s3: dict[str, str] | None) -> Path:
    """Write the demo's project with smaller shards, so that there is more to interrupt."""
    demo = yaml.safe_load((ROOT / "configs" / "demo.yaml").read_text())
    demo["images"] |= {"count": count, "path": str(folder / "images"), "shard_size": 128}
    demo["training"] |= {"epochs": 3, "labels": ["soft"], "feature": "clip"}
    more = {"workspace": workspace, "engine": {"driver_groups": 0}, "s3": s3 or {}}
    demo = {k: v for k, v in demo.items() if k not in ("self_training", "comparison")} | more
    shutil.copytree(ROOT / "configs" / "demo", folder / "demo", dirs_exist_ok=True)
    file = folder / f"{'s3' if s3 else 'disk'}.yaml"
    file.write_text(yaml.safe_dump(demo))
    return file


def started(file: Path, address: str | None) -> subprocess.Popen[bytes]:
    environment = (
        os.environ | {"WSLABEL_QUIET": "1"} | ({"RAY_ADDRESS": address} if address else {})
    )
    return subprocess.Popen(
        [*COMMAND, "run", str(file)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=(file.parent / "stderr").open("wb"),
        start_new_session=True,
    )


def tell(**fields: Any) -> None:
    print(json.dumps(fields), flush=True)


class Soak:
    """Kills on one store."""

    def __init__(self, file: Path, undisturbed: dict[str, object], seed: int) -> None:
        self._file, self._undisturbed = file, undisturbed
        settings = yaml.safe_load(file.read_text())
        self._location = Location(settings["workspace"], S3(**settings["s3"]))
        self._dice, self._cluster = random.Random(seed), ThreeNodes()
        self.kills: Counter[str] = Counter()
        self.problems: list[str] = []
        self.finished = 0

    def run(self, kills: int) -> None:
        try:
            while self.kills.total() < kills:
                self._one_run(kills)
            while not self._one_run(kills):
                pass
        finally:
            self._cluster.stop()

    def _one_run(self, most: int) -> bool:
        """Run once, killing now and then; tell whether all is done."""
        process, last = started(self._file, self._cluster.address()), time.monotonic()
        is_excused = False
        while process.poll() is None:
            pause = self._dice.uniform(0.5, 8.0) if self.kills.total() < most else 5.0
            try:
                process.wait(pause)
            except subprocess.TimeoutExpired:
                if time.monotonic() - last > LONGEST_S:
                    self._problem(process, "hangs")
                    os.killpg(process.pid, signal.SIGKILL)
                elif self.kills.total() < most:
                    kind = self._kill(process)
                    last, is_excused = time.monotonic(), is_excused or kind in ("driver", "head")
        if process.returncode not in ENDS and not is_excused:
            self._problem(process, f"ended with {process.returncode}")
        if process.returncode == 0:
            self._compare()
        return process.returncode == 0

    def _problem(self, process: subprocess.Popen[bytes], what: str) -> None:
        told = (self._file.parent / "stderr").read_text(errors="replace")[-2000:]
        self.problems.append(f"{what}: {told}")
        tell(problem=what, stderr=told, store=self._location.root)

    def _kill(self, process: subprocess.Popen[bytes]) -> str:
        # What was killed least comes first: actors and workers are there for a part of a run only.
        kinds = sorted(KINDS, key=lambda kind: (self.kills[kind], self._dice.random()))
        for kind in kinds:
            if self._killed(kind, process):
                self.kills[kind] += 1
                tell(kill=kind, number=self.kills.total(), store=self._location.root)
                return kind
        raise AssertionError("there is always a driver")

    def _killed(self, kind: str, process: subprocess.Popen[bytes]) -> bool:
        if kind == "driver":
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return True
        if kind == "head":
            is_killed = self._cluster.kill_head()
            os.killpg(process.pid, signal.SIGKILL)  # it is on the machine of the head
            process.wait()
            return is_killed
        if kind == "node":
            is_killed = self._cluster.kill_node(self._dice)
            self._cluster.address()  # spot machines come back
            return is_killed
        victims = self._cluster.workers(is_actor=kind == "actor")
        if not victims:
            return False
        try:
            self._dice.choice(victims).kill()
        except psutil.NoSuchProcess:
            return False
        return True

    def _compare(self) -> None:
        self.finished += 1
        found = contents(self._location.root, self._location.s3)
        differences = different(found, self._undisturbed)
        if differences:
            self.problems.append(f"differs in {differences}")
        tell(finished=self.finished, differences=differences, store=self._location.root)
        for entry in self._location.files("", recursive=True):
            self._location.delete(entry.path)


def different(found: dict[str, object], expected: dict[str, object]) -> list[str]:
    """Name the files that differ; trained numbers may in their last bits."""
    names = sorted(found.keys() ^ expected.keys())
    for name in found.keys() & expected.keys():
        mine, theirs = found[name], expected[name]
        if name.endswith(".parquet"):
            is_same = mine.equals(theirs)  # type: ignore[attr-defined]
        elif name.endswith(".safetensors"):
            pairs = [safetensors.numpy.load(bytes(data)) for data in (mine, theirs)]  # type: ignore[call-overload]
            is_same = all((pairs[0][key] == pairs[1][key]).all() for key in pairs[1])
        else:
            is_same = mine == theirs
        names += [] if is_same else [name]
    return names


def s3_server() -> tuple[subprocess.Popen[bytes], dict[str, str]]:
    """Serve a bucket in a process of its own."""
    import boto3  # noqa: PLC0415

    from tests.test_cluster import free_port  # noqa: PLC0415

    os.environ |= {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    port = free_port()
    words = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    endpoint = f"http://127.0.0.1:{port}"
    client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
    for _ in range(100):
        try:
            client.create_bucket(Bucket="soak")
        except Exception:  # noqa: BLE001 - it has not started yet
            time.sleep(0.3)
        else:
            return server, {"endpoint": endpoint}
    raise AssertionError("no S3 server came up")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--images", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    asked = parser.parse_args()
    tell(seed=asked.seed)
    folder = Path(tempfile.mkdtemp(prefix="wslabel-soak-"))
    server, s3 = s3_server()
    try:
        alone = config(folder, str(folder / "undisturbed"), asked.images, None)
        start = time.monotonic()
        assert started(alone, None).wait() == 0, (folder / "stderr").read_text()
        undisturbed = contents(str(folder / "undisturbed"))
        tell(undisturbed_s=time.monotonic() - start, files=len(undisturbed))
        soaks = {}
        for store, workspace, settings in (
            ("disk", str(folder / "ws"), None),
            ("s3", "s3://soak/ws", s3),
        ):
            file = config(folder, workspace, asked.images, settings)
            soaks[store] = soak = Soak(file, undisturbed, asked.seed)
            soak.run(asked.kills // 2)
        kills = {store: dict(soak.kills) for store, soak in soaks.items()}
        finished = {store: soak.finished for store, soak in soaks.items()}
        problems = [problem for soak in soaks.values() for problem in soak.problems]
        tell(summary=kills, finished=finished, problems=len(problems), seed=asked.seed)
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
