"""Trained networks judge all images of a project once, and other images as they would its own."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from tests.conftest import LINEAR, Learnable, paint
from wslabel import pipeline
from wslabel.columns import to_array
from wslabel.errors import ConfigError, WorkLeft
from wslabel.project.project import Project
from wslabel.stages.predict import predict
from wslabel.workspace.workspace import Workspace


def by_id(table: pa.Table) -> dict[str, list[float]]:
    ids = table.column("image_id").to_pylist()
    return dict(zip(ids, to_array(table.column("probabilities")).tolist(), strict=True))


def predictions(workspace: Path) -> dict[str, list[float]]:
    (path,) = workspace.glob("predictions/*/*.parquet")
    return by_id(pa.parquet.read_table(path))


def test_every_network_judges_every_image_once(trained: Project) -> None:
    workspace = Workspace(trained)
    for network in workspace.networks.values():
        table = workspace.predictions(network)
        assert table.missing == []
        judged = pa.concat_tables(table.table.read(item.name) for item in table.items)
        assert judged.num_rows == 60
        probs_NK = to_array(judged.column("probabilities"))
        assert np.allclose(probs_NK.sum(axis=1), 1, atol=1e-5)
        assert to_array(judged.column("label")).tolist() == probs_NK.argmax(axis=1).tolist()
    result = predict.run(workspace)
    assert (result.made, result.total, result.table) == (0, 1, None)


def test_what_networks_have_in_common_is_one_item(trained: Project) -> None:
    workspace = Workspace(trained)
    networks = [workspace.networks[name] for name in ("soft", "hard")]
    tables = {network.folder: workspace.predictions(network) for network in networks}
    assert predict.predict_items(networks, tables) == []
    lacking = {
        folder: workspace.derived(f"predictions/none-{folder[-3:]}", {"input": g})
        for folder, g in ((n.folder, workspace.generations["net"]) for n in networks)
    }
    (item,) = predict.predict_items(networks, lacking)
    assert set(item.missing) == {network.folder for network in networks}
    assert item.shards == tuple(workspace.shards)


def test_other_images_are_predicted_as_the_projects_own(
    trained: Project, tmp_path: Path, scenes: Path
) -> None:
    source, output = str(scenes / "coast"), str(tmp_path / "other")
    results = list(pipeline.predict_images(trained, "careful", source, output))
    assert [result.stage for result in results] == ["ingest", "featurize", "predict"]
    found = predictions(tmp_path / "other")
    assert len(found) == 30
    workspace = Workspace(trained)
    own: dict[str, list[float]] = {}
    table = workspace.predictions(workspace.networks["careful"])
    for item in table.items:
        own |= by_id(table.table.read(item.name))
    for name, probabilities in found.items():
        assert probabilities == pytest.approx(own[f"coast/{name}"], abs=1e-6)
    again = list(pipeline.predict_images(trained, "careful", source, output))
    assert [result.made for result in again] == [0, 0, 0]
    # Another folder whose images have the same names: none is left out.
    twin = shutil.copytree(source, tmp_path / "twin")
    ingested, *_ = pipeline.predict_images(trained, "careful", str(twin), output)
    assert ingested.num_images == 30
    both = predictions(tmp_path / "other")
    assert len(both) == 60
    for name, probabilities in found.items():
        assert both[f"{twin}/{name}"] == probabilities


def test_other_images_may_be_a_table_or_any_source(trained: Project, tmp_path: Path) -> None:
    paint(tmp_path / "new" / "a.jpg", "sea", 7)
    paint(tmp_path / "new" / "b.jpg", "jungle", 8)
    (tmp_path / "new" / "broken.jpg").write_bytes(b"<html>")
    (tmp_path / "some.csv").write_text("uri\nnew/a.jpg\nnew/b.jpg\n")
    source = f"images:\n  source: folder\n  path: {tmp_path / 'new'}\n"
    (tmp_path / "some.yaml").write_text(source)
    lenient = trained.engine.model_copy(update={"max_error_share": 0.5})
    project = trained.model_copy(update={"engine": lenient})
    for name, output in (("some.csv", "t"), ("some.yaml", "y")):
        for _ in pipeline.predict_images(
            project, "soft", str(tmp_path / name), str(tmp_path / output)
        ):
            pass
    table, folder = predictions(tmp_path / "t"), predictions(tmp_path / "y")
    assert len(table) == 2
    assert sorted(folder) == ["a.jpg", "b.jpg", "broken.jpg"]
    assert np.isnan(folder["broken.jpg"]).all()
    assert sorted(table.values()) == sorted(v for k, v in folder.items() if k != "broken.jpg")


def test_what_cannot_be_predicted_is_refused(
    trained: Project, tmp_path: Path, learnable: Learnable
) -> None:
    def predicted(project: Project, name: str, source: str, output: str) -> None:
        for _ in pipeline.predict_images(project, name, source, output):
            pass

    nowhere, output = str(tmp_path / "nowhere"), str(tmp_path / "o")
    with pytest.raises(ConfigError, match="no network 'carefull'; did you mean 'careful'"):
        predicted(trained, "carefull", "x", "y")
    with pytest.raises(ConfigError, match=r"--images: images.path: there is no file '.*/nowhere'"):
        predicted(trained, "soft", nowhere, output)
    with pytest.raises(ConfigError, match="name another workspace"):
        predicted(trained, "soft", str(tmp_path), str(learnable.folder / "ws"))
    later = learnable.load(name="later", training=LINEAR | {"epochs": 77})
    with pytest.raises(WorkLeft, match="run the stage train first"):
        predicted(later, "soft", str(tmp_path), output)
    with pytest.raises(WorkLeft, match="run the stage train first"):
        predict.run(Workspace(later))
