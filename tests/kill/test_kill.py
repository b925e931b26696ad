"""A run killed at any moment is completed by the next one, and nobody can tell the difference."""

import random
import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import safetensors.numpy

from tests.conftest import Networks, S3Server, tiny_config, write_config
from tests.kill.runs import (
    contents,
    finish,
    run,
    run_for,
    run_until_stopped,
    run_without,
    same,
    start,
    start_stopping,
    wait_until,
)
from wslabel.config.base import S3

pytestmark = [
    pytest.mark.long,
    pytest.mark.kill,
    pytest.mark.timeout(900),
]

# Before a rename, between two tables, before votes are there, during the fit and the training.
PLACES = [
    "before images/ 2",
    "after features/color 2",
    "before votes/ 1",
    "during fit 1",
    "during training 3",
    "before predictions/ 2",
]
S3_PLACES = ["after images/ 2", "before labels/ 1"]


# Training starts another cluster of processes; two runs killed at places before it go without.
WITH_TRAINING = ("models", "predictions", "reports")


def without_training(found: dict[str, object]) -> dict[str, object]:
    return {path: value for path, value in found.items() if not path.startswith(WITH_TRAINING)}


def project(scenes: Path, networks: Networks, workspace: str, **sections: Any) -> dict[str, Any]:
    net = networks.net(top_k=0, embedding=True, precision="float32")
    config = tiny_config(scenes, workspace=workspace, engine={"actors": 1}, **sections)
    config["features"] |= {"thumbnail": {"size": 32}, "net": net}
    training = {"network": "linear", "feature": "net", "epochs": 3, "batch_size": 16}
    return {"training": training} | config


@pytest.fixture(scope="module")
def finished(scenes: Path, networks: Networks, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workspace of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    run(write_config(folder / "p.yaml", project(scenes, networks, "ws")))
    return folder / "ws"


@pytest.fixture(scope="module")
def undisturbed(finished: Path) -> dict[str, object]:
    """What is in it."""
    return contents(str(finished))


def untrained(finished: Path, folder: Path) -> None:
    """Make a workspace in which only training is left to be done."""
    shutil.copytree(finished, folder / "ws", ignore=shutil.ignore_patterns(*WITH_TRAINING))


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
    config = write_config(
        tmp_path / "p.yaml", project(scenes, networks, root, s3=s3, training=None)
    )
    for number, place in enumerate(S3_PLACES):
        run_until_stopped(config, place, tmp_path / f"marks{number}")
    run(config)
    found = without_training(contents(root, S3(endpoint=s3_server.endpoint)))
    same(found, without_training(undisturbed))


def test_killed_at_a_random_moment(
    scenes: Path, networks: Networks, tmp_path: Path, undisturbed: dict[str, object]
) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    config = write_config(tmp_path / "p.yaml", project(scenes, networks, "ws"))
    times = random.Random(seed)
    run_for(config, times.uniform(2.0, 25.0))
    run(config)
    same(contents(str(tmp_path / "ws")), undisturbed)


def test_two_drivers_at_once(
    scenes: Path, networks: Networks, tmp_path: Path, undisturbed: dict[str, object]
) -> None:
    config = write_config(tmp_path / "p.yaml", project(scenes, networks, "ws", training=None))
    drivers = [start(config) for _ in range(2)]
    threads = [threading.Thread(target=driver.wait) for driver in drivers]
    for thread in threads:
        thread.start()
    for driver in drivers:
        finish(driver)
    for thread in threads:
        thread.join()
    same(without_training(contents(str(tmp_path / "ws"))), without_training(undisturbed))


def test_a_worker_killed_in_the_middle_of_an_epoch_costs_that_epoch_alone(
    scenes: Path,
    networks: Networks,
    tmp_path: Path,
    finished: Path,
    undisturbed: dict[str, object],
) -> None:
    untrained(finished, tmp_path)
    training = {"network": "linear", "feature": "net", "epochs": 3, "batch_size": 16, "workers": 2}
    one = project(scenes, networks, "ws", training=training)
    # Both workers come by once in each epoch: six times for the first network, then four times.
    config = write_config(tmp_path / "p.yaml", one)
    err = run_without(config, "during training 11", tmp_path / "marks")
    assert "train: soft goes on after epoch 2 of 3" in err
    visits = [path for path in (tmp_path / "marks").iterdir() if path.name.isdigit()]
    assert len(visits) <= 12 + 2 + 6  # the first network is not trained again
    found = contents(str(tmp_path / "ws"))
    assert sorted(found) == sorted(undisturbed)
    networks_ = [path for path in found if path.endswith(".safetensors")]
    assert len(networks_) == 3
    for path in networks_:
        ours, theirs = (safetensors.numpy.load(bytes(f[path])) for f in (found, undisturbed))
        assert all(np.allclose(ours[name], theirs[name], atol=1e-5) for name in theirs), path


def test_where_the_process_that_looks_after_training_dies_the_next_run_goes_on(
    scenes: Path, networks: Networks, tmp_path: Path, finished: Path
) -> None:
    untrained(finished, tmp_path)
    training = {"network": "linear", "feature": "net", "batch_size": 16, "workers": 2}
    config = write_config(tmp_path / "p.yaml", project(scenes, networks, "ws", training=training))
    process = start_stopping(config, "during training 1", tmp_path / "marks", "run")
    wait_until(process, lambda: (tmp_path / "marks" / "stopped").exists(), "never trained")
    for child in psutil.Process(process.pid).children(recursive=True):
        if child.name().startswith("ray::TrainContr"):
            child.kill()
    _, err = process.communicate(timeout=300)
    assert process.returncode == 3, err
    assert "the process that looks after the workers died; run again" in err
    assert "Traceback" not in err
    finish(start(config))


def test_a_sweep_goes_on_where_its_driver_was_killed(
    scenes: Path, networks: Networks, tmp_path: Path, finished: Path
) -> None:
    untrained(finished, tmp_path)
    training = {"network": "linear", "feature": "net", "epochs": 3, "validate_on": "weak"}
    write_config(
        tmp_path / "p.yaml", project(scenes, networks, "ws", training=training | {"labels": "soft"})
    )
    grid = {"training.label_smoothing": {"grid": [0.0, 0.1, 0.2, 0.3]}}
    how = {"project": "p.yaml", "search": grid, "metric": "loss", "concurrent": 1}
    config = write_config(tmp_path / "sweep.yaml", how)
    run_until_stopped(config, "before network.safetensors 2", tmp_path / "marks", "sweep")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("network.safetensors")}
    assert 0 < len(before) < 4
    out = finish(start(config, "sweep", WSLABEL_QUIET="1"))
    assert "sweep      4 of 4 made" in out
    assert all(path.stat().st_mtime_ns == when for path, when in before.items())
    assert len(list(tmp_path.rglob("network.safetensors"))) == 4
    assert "4 there" in finish(start(config, "sweep"))
    assert "nothing" not in finish(start(tmp_path / "sweep-best.yaml"))
