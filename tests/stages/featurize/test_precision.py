"""A precision is measured where that pays, on images of the project, once per kind of machine."""

from pathlib import Path

import pytest

from tests.conftest import Networks
from tests.small import small_project
from wslabel.engine.execute import is_connected
from wslabel.errors import TooManyErrors
from wslabel.networks import inference
from wslabel.project.project import Project
from wslabel.stages import ingest
from wslabel.stages.featurize import precision
from wslabel.stages.featurize.featurize import featurize_step, settle_precisions
from wslabel.stages.featurize.precision import choose, look_up, measure
from wslabel.workspace.workspace import Workspace


@pytest.fixture(autouse=True)
def _any_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let bfloat16 be worth a look, and nothing be remembered yet."""
    monkeypatch.setattr(inference, "lower_precisions", lambda: ["bfloat16"])
    monkeypatch.setenv("WSLABEL_CACHE", str(tmp_path / "cache"))


def with_open_precision(folder: Path, photos: Path, networks: Networks, **more: str) -> Project:
    net = networks.net(top_k=0, embedding=True)
    features = {"net": net, "color": None} | dict.fromkeys(more, net)
    project = small_project(folder, photos, features=features, labeling_functions=[])
    ingest.run(Workspace(project))
    return project


def measured(project: Project) -> str:
    workspace = Workspace(project)
    net, step = workspace.extractors["net"], featurize_step(workspace)
    assert net.is_open
    known = look_up(step, [net], 0)
    assert known.precisions == {}
    (probe,) = known.probes.values()
    return measure(step, net, probe, num_images=10**6)


def test_each_network_gets_a_precision_that_is_remembered(
    photos: Path, tmp_path: Path, networks: Networks
) -> None:
    project = with_open_precision(tmp_path, photos, networks)
    for path in sorted(photos.rglob("*.jpg"))[::3]:
        path.write_bytes(b"no image")
    found = measured(project)
    assert found in ("float32", "bfloat16")
    other = with_open_precision(tmp_path / "ws", photos, networks)  # a second workspace
    workspace = Workspace(other)
    net = workspace.extractors["net"]
    assert net.is_open
    for path in photos.rglob("*.jpg"):
        path.write_bytes(b"no image")
    known = look_up(featurize_step(workspace), [net], 0)
    assert (known.precisions, known.probes) == ({"net": found}, {})


def test_images_that_cannot_be_read_measure_nothing(
    photos: Path, tmp_path: Path, networks: Networks
) -> None:
    project = with_open_precision(tmp_path, photos, networks)
    for path in photos.rglob("*.jpg"):
        path.write_bytes(b"no image")
    with pytest.raises(TooManyErrors, match="none of the first 8 images of shard 0 can be decoded"):
        measured(project)


def test_a_machine_without_lower_precisions_reads_no_image(
    photos: Path, tmp_path: Path, networks: Networks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference, "lower_precisions", list)
    project = with_open_precision(tmp_path, photos, networks)
    for path in photos.rglob("*.jpg"):
        path.unlink()
    workspace = Workspace(project)
    known = look_up(featurize_step(workspace), [workspace.extractors["net"]], 0)
    assert (known.precisions, known.probes) == ({"net": "float32"}, {})


def test_few_images_are_not_worth_measuring(
    photos: Path, tmp_path: Path, networks: Networks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They get float32 without a worker, and keep it when more images come."""
    monkeypatch.setattr(precision, "run_once", None)
    project = with_open_precision(tmp_path, photos, networks)
    connected = is_connected()
    workspace = settle_precisions(Workspace(project))
    assert workspace.extractors["net"].precision == "float32"
    assert is_connected() == connected
    monkeypatch.setattr(precision, "FEW_IMAGES", 0)
    again = settle_precisions(Workspace(project))
    assert again.extractors["net"].folder == workspace.extractors["net"].folder


def test_measuring_shows_how_it_goes(
    photos: Path,
    tmp_path: Path,
    networks: Networks,
    cluster: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("CI", "WSLABEL_QUIET"):
        monkeypatch.delenv(name, raising=False)
    project = with_open_precision(tmp_path, photos, networks, again="")
    workspace = Workspace(project)
    extractors = [e for e in workspace.extractors.values() if e.is_open]
    chosen = choose(project.engine, featurize_step(workspace), extractors, 10**6)
    assert list(chosen) == ["net", "again"]
    last = f"precision: 2/2, again in {chosen['again']}"
    assert last in capsys.readouterr().err
