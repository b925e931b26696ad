"""A run killed at any moment is completed by the next one, and nobody can tell the difference."""

import os
import random
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Networks, S3Server, tiny_config, write_config
from tests.kill.runs import contents, finish, run, run_for, run_until_stopped, same, start
from wslabel.settings import S3

pytestmark = [pytest.mark.kill, pytest.mark.timeout(900)]

PLACES = (
    "before images/ 2",
    "before features/color 2",
    "after features/color 2",
    "after features/net 1",
    "before votes/ 1",
    "after votes/ 1",
    "during fit 1",
    "before labels/ 1",
    "during training 3",
    "after models/ 1",
    "before predictions/ 2",
)
S3_PLACES = ("after images/ 2", "after features/color 2", "during fit 1", "before predictions/ 2")
RANDOM_KILLS = int(os.environ.get("WSLABEL_KILLS", "2"))


def project(scenes: Path, networks: Networks, workspace: str, **sections: Any) -> dict[str, Any]:
    net = {
        "kind": "classifier",
        "model": "timm/test_efficientnet",
        "model_options": {"num_classes": 5},
        "weights": str(networks.classifier),
        "preprocess": {"resize": 32, "crop": 32},
        "top_k": 0,
        "embedding": True,
        "precision": "float32",
    }
    config = tiny_config(scenes, workspace=workspace, **sections)
    config["features"]["net"] = net
    config["training"] = {"network": "linear", "feature": "net", "epochs": 3, "batch_size": 16}
    return config


@pytest.fixture(scope="module")
def undisturbed(
    scenes: Path, networks: Networks, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, object]:
    """What a run that nothing disturbs leaves."""
    folder = tmp_path_factory.mktemp("undisturbed")
    run(write_config(folder / "p.yaml", project(scenes, networks, "ws")))
    return contents(str(folder / "ws"))


def test_killed_at_chosen_places(
    scenes: Path, networks: Networks, tmp_path: Path, undisturbed: dict[str, object]
) -> None:
    config = write_config(tmp_path / "p.yaml", project(scenes, networks, "ws"))
    for number, place in enumerate(PLACES):
        run_until_stopped(config, place, tmp_path / f"marks{number}")
    run(config)
    same(contents(str(tmp_path / "ws")), undisturbed)
    assert "nothing to do" in run(config)


def test_killed_at_chosen_places_on_s3(
    scenes: Path,
    networks: Networks,
    tmp_path: Path,
    s3_server: S3Server,
    undisturbed: dict[str, object],
) -> None:
    root = f"s3://{s3_server.bucket}/killed"
    s3 = {"endpoint": s3_server.endpoint}
    config = write_config(tmp_path / "p.yaml", project(scenes, networks, root, s3=s3))
    for number, place in enumerate(S3_PLACES):
        run_until_stopped(config, place, tmp_path / f"marks{number}")
    run(config)
    same(contents(root, S3(endpoint=s3_server.endpoint)), undisturbed)


def test_killed_at_random_moments(
    scenes: Path, networks: Networks, tmp_path: Path, undisturbed: dict[str, object]
) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    config = write_config(tmp_path / "p.yaml", project(scenes, networks, "ws"))
    times = random.Random(seed)
    for _ in range(RANDOM_KILLS):
        run_for(config, times.uniform(2.0, 25.0))
    run(config)
    same(contents(str(tmp_path / "ws")), undisturbed)


def test_two_drivers_at_once(
    scenes: Path, networks: Networks, tmp_path: Path, undisturbed: dict[str, object]
) -> None:
    config = write_config(tmp_path / "p.yaml", project(scenes, networks, "ws"))
    drivers = [start(config) for _ in range(2)]
    threads = [threading.Thread(target=driver.wait) for driver in drivers]
    for thread in threads:
        thread.start()
    for driver in drivers:
        finish(driver)
    for thread in threads:
        thread.join()
    same(contents(str(tmp_path / "ws")), undisturbed)
