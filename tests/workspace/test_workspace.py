"""Tables are named by what they are made of; a workspace tells what each of them lacks."""

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import CNN, LINEAR, Learnable
from tests.small import feature, made, small_project
from wslabel.stages import ingest
from wslabel.workspace.workspace import ShardItem, Workspace


def changed(learnable: Learnable, **sections: Any) -> Workspace:
    return Workspace(learnable.load(name="changed", **sections))


def test_shards_lack_what_is_not_made(scenes: Path, tmp_path: Path) -> None:
    project = small_project(tmp_path, scenes)
    assert Workspace(project).shards == []
    ingest.run(Workspace(project))
    workspace = Workspace(project)
    assert workspace.shards == list(range(8))
    assert workspace.generations == {"color": {}}
    assert workspace.missing_shards() == [ShardItem(s, {"color": None}) for s in range(8)]


@pytest.mark.usefixtures("cluster")
def test_failed_images_are_missing_where_they_are_to_be_taken_up_again(
    photos: Path, tmp_path: Path
) -> None:
    (photos / "coast" / "c03.jpg").write_bytes(b"no image")
    project = small_project(tmp_path, photos)
    made(project, until="featurize")
    errors = feature(project).column("error").to_pylist()
    shard = errors.index("not_an_image") // 8
    workspace = Workspace(project)
    assert workspace.missing_shards() == []
    assert workspace.missing_shards(frozenset({"missing"})) == []
    retry = frozenset({"missing", "not_an_image"})
    assert workspace.missing_shards(retry) == [ShardItem(shard, {"color": 0}, retry)]


def test_a_changed_function_renames_votes_and_labels_and_no_feature(learnable: Learnable) -> None:
    plain = changed(learnable)
    functions = [*learnable.config["labeling_functions"]]
    functions[2] = functions[2] | {"votes": {"blue": "jungle"}}
    other = changed(learnable, labeling_functions=functions)
    assert [e.folder for e in other.extractors.values()] == [
        e.folder for e in plain.extractors.values()
    ]
    assert other.votes.table.folder != plain.votes.table.folder
    assert other.labels.table.folder != plain.labels.table.folder
    assert (plain.votes.missing, plain.labels.missing) == ([], [])
    assert len(other.votes.missing) == len(other.labels.missing) == 1


def test_a_renamed_function_renames_votes(learnable: Learnable) -> None:
    functions = [*learnable.config["labeling_functions"]]
    for index, function in enumerate(functions):
        renamed = [*functions]
        renamed[index] = function | {"name": f"other_{function['name']}"}
        other = changed(learnable, labeling_functions=renamed)
        assert len(other.votes.missing) == 1, function["kind"]


def test_a_changed_label_model_renames_labels_and_not_votes(learnable: Learnable) -> None:
    plain, other = changed(learnable), changed(learnable, label_model={"epochs": 51})
    assert other.votes.table.folder == plain.votes.table.folder
    assert other.label_model != plain.label_model
    assert other.labels.table.folder != plain.labels.table.folder
    assert plain.fitted is not None
    assert other.fitted is None


def network_folder(learnable: Learnable, section: dict[str, Any], **changes: Any) -> str:
    training = section | {"labels": "soft"} | changes
    (network,) = changed(learnable, training=training).networks.values()
    assert network.file == f"{network.folder}/network.safetensors"
    return network.folder


def test_a_network_is_named_by_what_comes_out_and_not_by_where_it_is_trained(
    learnable: Learnable,
) -> None:
    plain = network_folder(learnable, LINEAR)
    assert plain.startswith("models/soft-")
    assert network_folder(learnable, LINEAR, workers=2, loader_threads=7) == plain
    float32 = network_folder(learnable, LINEAR, precision="float32")
    assert network_folder(learnable, LINEAR, precision="float32", use_gpu=True) == float32 == plain
    # What auto stands for is computed in, so it counts.
    bfloat16 = network_folder(learnable, LINEAR, precision="bfloat16")
    assert network_folder(learnable, LINEAR, use_gpu=True) == bfloat16 != plain
    changes: list[dict[str, Any]] = [{"epochs": 4}, {"seed": 1}, {"label_smoothing": 0.1}]
    folders = [network_folder(learnable, LINEAR, **change) for change in changes]
    folders += [network_folder(learnable, CNN), network_folder(learnable, LINEAR, labels="hard")]
    assert len({plain, *folders}) == 6


def test_a_network_on_truth_hangs_on_no_label(learnable: Learnable) -> None:
    def original(**sections: Any) -> str:
        training = LINEAR | {"labels": "original"}
        return changed(learnable, training=training, **sections).networks["original"].folder

    assert original(label_model={"epochs": 51}) == original()
    assert network_folder(learnable, LINEAR) != network_folder(learnable, LINEAR, seed=3)


def test_predictions_and_reports_are_named_by_the_networks(learnable: Learnable) -> None:
    first = changed(learnable, training=LINEAR | {"labels": "soft"})
    second = changed(learnable, training=LINEAR | {"labels": "soft", "epochs": 4})
    tables = [w.predictions(w.networks["soft"]) for w in (first, second)]
    assert tables[0].table.folder.startswith("predictions/soft-")
    assert tables[0].table.folder != tables[1].table.folder
    assert first.evaluation != second.evaluation
    assert first.report != second.report
    assert first.report.removeprefix("reports/report-").removesuffix(".html") in first.evaluation


def test_precisions_are_those_of_the_workspace_that_a_network_was_trained_in(
    learnable: Learnable, scenes: Path, tmp_path: Path
) -> None:
    net = learnable.config["features"]["net"] | {"precision": "auto"}
    sections = {"features": {"net": net}, "labeling_functions": []}
    measured = changed(learnable, **sections)
    identity = measured.extractors["net"].identity
    measured.constants.keep(f"precision-{identity}", "bfloat16")
    other = small_project(tmp_path, scenes, **sections)
    assert Workspace(other).extractors["net"].is_open
    Workspace(other).keep_precisions_of(measured)
    assert Workspace(other).extractors["net"].precision == "bfloat16"


def test_small_files_are_written_once(scenes: Path, tmp_path: Path) -> None:
    workspace = Workspace(small_project(tmp_path, scenes))
    workspace.write_json("reports/x.json", {"b": [1.5, None], "a": "é"})
    workspace.write_json("reports/x.json", {})
    assert workspace.read_json("reports/x.json", dict) == {"b": [1.5, None], "a": "é"}
