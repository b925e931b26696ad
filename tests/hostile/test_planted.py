"""Of what lets somebody in, nothing is left behind: no table, page, log or screen has a secret.

One column alone holds signatures: the uris of the manifest, which are needed to fetch.
"""

import base64
import gzip
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from tests.conftest import CNN, tiny_config, write_config
from tests.sources.web import Answers, serving

USER, PASSWORD = "planted-user", "planted-password"
SIGNED = {
    "X-Amz-Credential": "PLANTEDCREDENTIAL",
    "X-Amz-Signature": "0123456789abcdefplanted",
    "X-Amz-Security-Token": "PLANTEDSECURITYTOKEN",
    "Expires": "17",
}
QUERY = "&".join(f"{name}={value}" for name, value in SIGNED.items())
KEYS = {
    "AWS_ACCESS_KEY_ID": "PLANTEDKEYID",
    "AWS_SECRET_ACCESS_KEY": "PLANTEDSECRETKEY",
    "AWS_SESSION_TOKEN": "PLANTEDSESSIONTOKEN",
    "WANDB_API_KEY": "PLANTEDWANDB",
    "MLFLOW_TRACKING_TOKEN": "PLANTEDMLFLOWTOKEN",
    "MLFLOW_TRACKING_PASSWORD": "PLANTEDMLFLOWPASSWORD",
    "HF_TOKEN": "PLANTEDHUGGINGFACE",
}
"""What the environment of a run holds."""

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]

NOBODY = "http://127.0.0.1:9"
"""Where nobody answers."""

ENDPOINT = "PLANTEDENDPOINTPASSWORD"
SECRETS = (USER, PASSWORD, ENDPOINT, *list(SIGNED.values())[:3], *KEYS.values())
BASIC = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
NEEDLES = tuple(
    needle.encode()
    for secret in (*SECRETS, BASIC)
    for needle in (secret, base64.b64encode(secret.encode()).decode().rstrip("="))
)


@dataclass(frozen=True)
class Run:
    """A project of presigned images, and what its commands printed.

    Attributes:
        folder: Folder of everything but Ray's own files.
        ray: Folder of Ray's sessions.
        printed: What was printed, by command.
    """

    folder: Path
    ray: Path
    printed: dict[str, str] = field(default_factory=dict)

    def __call__(self, *words: str, code: int = 0) -> None:
        """Run a command in a process of its own, which knows the secrets."""
        caches = {"WSLABEL_CACHE": str(self.folder / "cache"), "RAY_TMPDIR": str(self.ray)}
        environment = os.environ | KEYS | caches
        for name in ("CI", "WSLABEL_QUIET", "RAY_ADDRESS"):
            environment.pop(name, None)
        program = Path(sys.executable).with_name("wslabel")
        done = subprocess.run(
            [program, *words],
            env=environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        said = done.stdout + done.stderr
        assert done.returncode == code, said
        self.printed[" ".join(words)] = said


def uris(server: str, photos: Path) -> list[str]:
    """Serve photos, and troubles, to whoever has a signature; give their uris."""
    host = server.removeprefix("http://")
    paths = []
    for photo in sorted(photos.rglob("*.jpg")):
        paths.append(f"/200/{photo.parent.name}-{photo.name}")
        Answers.data[f"{paths[-1]}?{QUERY}"] = photo.read_bytes()
    paths += ["/200/no-image.jpg", "/404/missing.jpg", "/403/denied.jpg", "/short/broken.jpg"]
    hosts = [host] * len(paths) + [NOBODY.removeprefix("http://")]
    paths.append("/200/unreachable.jpg")
    return [
        f"http://{USER}:{PASSWORD}@{host}{path}?{QUERY}"
        for host, path in zip(hosts, paths, strict=True)
    ]


def config_of(scenes: Path, server: str, **more: Any) -> dict[str, Any]:
    """Give a small project with everything that keeps something, of images on this machine."""
    images = {"source": "table", "path": "list.csv", "truth": "class", "shard_size": 32}
    return tiny_config(
        scenes,
        images=images | {"allow": [server, NOBODY]},
        features={"color": None, "thumbnail": {"size": 32}},
        training=CNN | {"labels": ["soft"], "epochs": 1, "loggers": ["mlflow"]},
        engine={"actors": 1, "max_error_share": 1.0, "max_attempts": 2},
        **more,
    )


@pytest.fixture(scope="module")
def finished(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A run of every command over presigned images, some of which cannot be fetched."""
    folder = tmp_path_factory.mktemp("secrets")
    ray = Path(tempfile.mkdtemp(prefix="wsl-", dir="/tmp"))  # paths of sockets must be short
    run = Run(folder, ray)
    search = {"project": "p.yaml", "search": {"training.label_smoothing": {"grid": [0.1]}}}
    fixed = {"training.validate_on": "truth", "training.labels": "soft"}
    (folder / "sweep.yaml").write_text(yaml.safe_dump(search | {"fixed": fixed}))
    with serving() as server:
        write_config(folder / "p.yaml", config_of(scenes, server))
        s3 = {"endpoint": f"https://a:{ENDPOINT}@b"}
        write_config(folder / "endpoint.yaml", config_of(scenes, server, s3=s3))
        found = uris(server, scenes)
        known = {"coast": "sea", "forest": "jungle"}
        rows = [f"{uri},{next((c for f, c in known.items() if f in uri), '')}" for uri in found]
        (folder / "list.csv").write_text("\n".join(["uri,class", *rows]) + "\n")
        run("status", "endpoint.yaml", code=2)
        run("run", "p.yaml", code=3)
        run("run", "p.yaml")
        run("run", "p.yaml", "--retry", "missing", "--retry", "unreachable")
        run("status", "p.yaml")
        for name in ("200/coast-c00.jpg", "404/missing.jpg"):
            run("explain", "p.yaml", f"{server}/{name}")
        run("explain", "p.yaml", found[0], code=1)
        for table in ("labels", "predictions/soft"):
            run("export", "p.yaml", "--table", table, "--output", "out")
        run("export", "p.yaml", "--table", "labels", "--kind", "parquet", "--output", "out")
        run("export", "p.yaml", "--network", "soft", "--output", "out")
        run("sweep", "sweep.yaml")
        run("predict", "p.yaml", "p.yaml", "--output", "other", code=3)
    yield run
    shutil.rmtree(ray)


def contents(path: Path) -> Iterator[bytes]:
    """Give what a file holds, unpacked; of the manifest all but its uris."""
    if path.suffix != ".parquet":
        data = path.read_bytes()
        yield data
        if path.suffix == ".gz":
            yield gzip.decompress(data)
        return
    table = pq.read_table(path)
    if path.parent.name == "images":
        table = table.drop_columns(["uri"])
    else:
        yield path.read_bytes()
    yield repr(table.schema.metadata).encode()
    for column in table.columns:
        if not pa.types.is_nested(column.type) and not pa.types.is_binary(column.type):
            yield repr(column.to_pylist()).encode()


def files_of(*folders: Path) -> list[Path]:
    return [path for folder in folders for path in folder.rglob("*") if path.is_file()]


def test_no_file_that_a_run_leaves_holds_a_secret(finished: Run) -> None:
    inputs = {finished.folder / name for name in ("list.csv", "endpoint.yaml")}
    paths = [p for p in files_of(finished.folder, finished.ray) if p not in inputs]
    for room in (
        "features",
        "votes",
        "labels",
        "predictions",
        "models",
        "reports",
        "logs",
        "sweeps",
    ):
        assert any(room in path.parts for path in paths), room
    assert any("session" in part for path in paths for part in path.parts)
    leaks = {
        f"{path}: {needle.decode()}"
        for path in paths
        for content in contents(path)
        for needle in NEEDLES
        if needle in content
    }
    assert not leaks


def test_no_command_prints_a_secret(finished: Run) -> None:
    for command, said in finished.printed.items():
        assert not [needle for needle in NEEDLES if needle in said.encode()], command


def test_the_manifest_keeps_what_is_needed_to_fetch(finished: Run) -> None:
    tables = [pq.read_table(path) for path in sorted((finished.folder / "ws/images").iterdir())]
    images = pa.concat_tables(tables).select(["image_id", "uri"]).to_pylist()
    assert len(images) == 65
    assert all(QUERY in image["uri"] and PASSWORD in image["uri"] for image in images)
    assert not any("Amz" in image["image_id"] or "@" in image["image_id"] for image in images)
