"""Small real things for tests: images, networks, word vectors, an S3 server, one Ray cluster."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from tests.projects import FILES
from tests.word_vectors import two_topics
from wslabel import pipeline
from wslabel.project.loading import load

os.environ.setdefault("WSLABEL_QUIET", "1")
REAL = Path(os.environ.get("WSLABEL_REAL", Path(__file__).parents[2] / "shared" / "real"))

LONGEST = ("test_kill", "test_real", "test_cluster", "test_pipeline", "test_sweep", "test_compare")
"""Files that come first, so that two workers end together."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: (*LONGEST, item.path.stem).index(item.path.stem))
    if REAL.is_dir():
        return
    skip = pytest.mark.skip(reason=f"the real photos and weights are absent: {REAL}")
    for item in items:
        if item.get_closest_marker("real"):
            item.add_marker(skip)


@pytest.fixture(scope="session")
def real() -> Path:
    """The folder of real photos and weights."""
    return REAL


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    os.environ["WSLABEL_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def cluster() -> Iterator[None]:
    """The one Ray cluster of a test session: two CPUs, as on the smallest laptop."""
    import ray  # noqa: PLC0415 - most tests need no Ray

    from wslabel.engine.cluster import disconnect  # noqa: PLC0415

    disconnect()  # from what a test that asked for none may have started
    ray.init(
        "local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR"
    )
    yield
    disconnect()


def paint(path: Path, kind: str, seed: int, size: tuple[int, int] = (48, 40)) -> None:
    """Draw a noisy blue ("sea") or green ("jungle") JPEG."""
    rng = np.random.default_rng(seed)
    base = {"sea": (60, 90, 170), "jungle": (60, 140, 70), "other": (150, 80, 80)}[kind]
    noise = rng.normal(0, 25, (*size, 3)) + rng.normal(0, 30, 3)
    pixels = (np.array(base) + noise).clip(0, 255).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, "JPEG", quality=92)


@pytest.fixture(scope="session")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders `coast` and `forest` of 30 small images each."""
    root = tmp_path_factory.mktemp("scenes")
    for index in range(30):
        paint(root / "coast" / f"c{index:02d}.jpg", "sea", index)
        paint(root / "forest" / f"f{index:02d}.jpg", "jungle", 1000 + index)
    return root


@pytest.fixture
def photos(scenes: Path, tmp_path: Path) -> Path:
    """A copy of the scenes that a test may spoil."""
    shutil.copytree(scenes, tmp_path / "photos")
    return tmp_path / "photos"


@dataclass(frozen=True)
class Networks:
    """Small networks in the real formats: a timm classifier, an open_clip model, word vectors."""

    classifier: Path
    categories: Path
    clip_config: Path
    clip_weights: Path
    words: Path

    def net(self, **more: Any) -> dict[str, Any]:
        """Give the section of a project file for the classifier."""
        section: dict[str, Any] = {"kind": "classifier", "model": "timm/test_efficientnet"}
        section |= {"weights": str(self.classifier), "model_options": {"num_classes": 5}}
        return section | {"preprocess": {"resize": 32, "crop": 32}} | more

    def clip(self, **more: Any) -> dict[str, Any]:
        """Give the section of a project file for CLIP."""
        paths = {"model": str(self.clip_config), "weights": str(self.clip_weights)}
        return {"kind": "clip"} | paths | more


CATEGORIES = ("seashore, coast", "rain forest", "fishing boat", "oak tree", "toaster")
CLIP_CONFIG = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 1, "layers": 1},
}


@pytest.fixture(scope="session")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Networks:
    """Make small checkpoints with seeded random weights, and word vectors of two topics."""
    import open_clip  # noqa: PLC0415
    import timm  # noqa: PLC0415
    import torch  # noqa: PLC0415

    root = tmp_path_factory.mktemp("networks")
    made = Networks(
        *(root / n for n in ("net.pth", "names.txt", "tiny-clip.json", "clip.pt", "w.bin"))
    )
    torch.manual_seed(0)
    net = timm.create_model("test_efficientnet", num_classes=len(CATEGORIES))
    torch.save(net.state_dict(), made.classifier)
    made.categories.write_text("\n".join(CATEGORIES))
    made.clip_config.write_text(json.dumps(CLIP_CONFIG))
    open_clip.add_model_config(made.clip_config)
    torch.save(open_clip.create_model("tiny-clip").state_dict(), made.clip_weights)
    two_topics(made.words)
    return made


@pytest.fixture
def mounted() -> Iterator[Callable[..., Path]]:
    """Mounts file systems on folders, where this process may."""
    mounts: list[Path] = []

    def mount(folder: Path, *words: str) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(["mount", *words, str(folder)], capture_output=True, check=False)
        if done.returncode:
            pytest.skip(f"this process may not mount: {done.stderr.decode().strip()}")
        mounts.append(folder)
        return folder

    yield mount
    for folder in reversed(mounts):
        subprocess.run(["umount", str(folder)], check=True)


def tiny_config(scenes: Path, **sections: Any) -> dict[str, Any]:
    """A project over small images that needs no network: color features, three voting functions."""
    return {
        "workspace": "ws",
        "classes": ["jungle", "sea"],
        "images": {
            "source": "folder",
            "path": str(scenes),
            "classes": {"jungle": "forest", "sea": "coast"},
            "shard_size": 8,
        },
        "features": {"color": None},
        "labeling_functions": [
            {"name": "mean", "kind": "color", "statistic": "mean", "votes": BLUE_GREEN},
            {"name": "pixel", "kind": "color", "statistic": "pixel", "votes": BLUE_GREEN},
            {"name": "blue", "kind": "color", "statistic": "mean", "votes": {"blue": "sea"}},
        ],
        "label_model": {"epochs": 50},
        # One process loads what another would too; pools are tested with the engine and the demo.
        "engine": {"actors": 1},
    } | sections


BLUE_GREEN = {"blue": "sea", "green": "jungle"}


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that `tests.projects.full` names."""
    root = tmp_path_factory.mktemp("home")
    (root / "photos").mkdir()
    for name in FILES:
        (root / name).write_text("x")
    (root / "my_votes.py").write_text("def vote(batch): ...\n")
    return root


def write_config(path: Path, config: dict[str, Any]) -> Path:
    """Write a project file."""
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return path


@dataclass(frozen=True)
class S3Server:
    """A local S3 server with one bucket."""

    endpoint: str
    bucket: str


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """Serve a bucket by moto in this process; credentials are in the environment."""
    import boto3  # noqa: PLC0415
    from moto.server import ThreadedMotoServer  # noqa: PLC0415

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    boto3.client("s3", endpoint_url=endpoint).create_bucket(Bucket="bucket")
    yield S3Server(endpoint, "bucket")
    server.stop()


@dataclass(frozen=True)
class Learnable:
    """A workspace with features, votes and labels, on which training can begin at once."""

    folder: Path
    config: dict[str, Any]

    def write(self, name: str = "p", **sections: Any) -> Path:
        """Write a project file on this workspace."""
        return write_config(self.folder / f"{name}.yaml", self.config | sections)

    def load(self, **sections: Any) -> Any:
        """Load a project on this workspace."""
        return load(self.write(**sections))


@pytest.fixture(scope="session")
def learnable(
    scenes: Path, networks: Networks, cluster: None, tmp_path_factory: pytest.TempPathFactory
) -> Learnable:
    """Sixty small images up to their labels; what tests add has names of its own."""
    folder = tmp_path_factory.mktemp("learnable")
    config = tiny_config(scenes)
    net = networks.net(top_k=0, embedding=True, precision="float32")
    config["features"] |= {"thumbnail": {"size": 32}, "net": net}
    made = Learnable(folder, config)
    for _ in pipeline.run(made.load(), until="label"):
        pass
    return made


@pytest.fixture(scope="session")
def embedded(
    scenes: Path, networks: Networks, cluster: None, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A folder of photos, one of them broken, and a workspace with their features.

    Tests may share it: votes have names of their own.
    """
    from tests.small import made, on_embeddings  # noqa: PLC0415 - which imports this file

    folder = tmp_path_factory.mktemp("embedded")
    shutil.copytree(scenes, folder / "photos")
    (folder / "photos" / "coast" / "broken.jpg").write_bytes(b"no image")
    made(on_embeddings(folder, networks, []), until="featurize")
    return folder


LINEAR = {"network": "linear", "feature": "net", "epochs": 3, "batch_size": 16}
CNN = {
    "network": "cnn",
    "feature": "thumbnail",
    "preprocess": {"resize": 16, "crop": 16},
    "epochs": 2,
    "batch_size": 16,
}
