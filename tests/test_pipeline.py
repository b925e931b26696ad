"""The stages together: what is made, what is not made again, and where every image ends."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import (
    CATEGORIES,
    LINEAR,
    Learnable,
    Networks,
    paint,
    tiny_config,
    write_config,
)
from tests.kill.runs import contents, finish, start
from tests.small import feature, like, made, on_embeddings, small_project, votes_of
from wslabel import pipeline
from wslabel.errors import ConfigError, WorkLeft
from wslabel.stages import ingest, vote
from wslabel.stages.featurize import featurize
from wslabel.workspace import log
from wslabel.workspace.status import status
from wslabel.workspace.workspace import Workspace

pytestmark = pytest.mark.usefixtures("cluster")

STAGES = ("ingest", "featurize", "vote", "label", "evaluate", "report")


def test_a_second_run_makes_nothing_and_a_changed_function_only_what_hangs_on_it(
    scenes: Path, tmp_path: Path
) -> None:
    first = small_project(tmp_path, scenes)
    assert made(first) == dict.fromkeys(STAGES, 1) | {"ingest": 8, "featurize": 8}
    nothing = dict.fromkeys(STAGES, 0)
    assert made(first) == nothing
    functions = tiny_config(scenes)["labeling_functions"]
    functions[2] = functions[2] | {"votes": {"green": "jungle"}}
    other = small_project(tmp_path, scenes, labeling_functions=functions)
    assert made(other) == nothing | {"vote": 1, "label": 1, "evaluate": 1, "report": 1}
    assert made(first) == nothing
    assert made(other) == nothing


def test_a_run_of_nothing_starts_no_ray_and_is_quick(scenes: Path, tmp_path: Path) -> None:
    assert made(small_project(tmp_path, scenes))["featurize"] == 8
    begun = time.monotonic()
    out = finish(start(tmp_path / "p.yaml"))
    assert "nothing to do: all tables are there; Ray was not started" in out
    assert time.monotonic() - begun < 15


def test_new_images_become_new_shards(photos: Path, tmp_path: Path) -> None:
    project = small_project(tmp_path, photos)
    made(project)
    before = contents(str(tmp_path / "ws"))
    for index in range(5):
        paint(photos / "coast" / f"new{index}.jpg", "sea", 500 + index)
    assert made(project) == dict.fromkeys(STAGES, 1)
    after = contents(str(tmp_path / "ws"))
    kept = [path for path in before if path.startswith(("images/", "features/"))]
    assert kept
    assert all(after[path] == before[path] for path in kept)
    # The group's file was replaced by one that also covers the new shard.
    assert sum(path.startswith("votes/") for path in after) == 1
    assert Workspace(project).votes.items[0].name == "00000-00008.parquet"


def test_every_image_ends_in_one_state_and_errors_can_be_taken_up_again(
    photos: Path, tmp_path: Path
) -> None:
    good = (photos / "coast" / "c03.jpg").read_bytes()
    (photos / "coast" / "c03.jpg").write_bytes(b"<html>not found</html>")
    (photos / "coast" / "c04.jpg").write_bytes(good[: len(good) // 3])
    project = small_project(tmp_path, photos)
    ingest.run(Workspace(project))
    (photos / "forest" / "f07.jpg").unlink()
    result = featurize.run(Workspace(project))
    assert result.errors == {"not_an_image": 2, "missing": 1}
    assert result.num_images == 60
    made(project)
    table = feature(project)
    assert table.num_rows == 60
    assert table.column("mean_red").null_count == table.column("error").drop_null().length() == 3
    tables = {row.table: row for row in status(project)}
    assert tables["features/color"].errors == {"not_an_image": 2, "missing": 1}
    assert tables["labels"].rows == 60
    # Nothing has changed for the missing one: no new generation, nothing made anew.
    assert made(project, retry=["missing"])["vote"] == 0
    (photos / "coast" / "c03.jpg").write_bytes(good)
    again = made(project, retry=["not_an_image"])
    assert again["vote"] == again["label"] == 1
    healed = feature(project)
    row = healed.column("image_id").to_pylist().index("coast/c03.jpg")
    assert healed.column("error")[row].as_py() is None
    assert healed.column("error").drop_null().length() == 2
    assert healed.column("image_id").equals(table.column("image_id"))
    workspace = Workspace(project)
    names = workspace.extractors["color"].table(workspace.location).names()
    assert sorted(n for n in names if ".1." in n) == [n for n in names if n.count(".") == 2]
    assert len(names) == 8 + 1  # the older generation is an empty table now, its name stays taken
    assert made(project) == dict.fromkeys(STAGES, 0)


def test_the_whole_story_with_networks_in_one_job_each(
    scenes: Path, networks: Networks, tmp_path: Path
) -> None:
    config = tiny_config(scenes)
    categories = {"file": str(networks.categories)}
    features = config["features"] | {
        "thumbnail": {"size": 32},
        "net": networks.net(categories=categories, top_k=2, embedding=True),
        "clip": networks.clip(precision="float32"),
    }
    words = {"sea": ["sea", "water"], "jungle": ["forest", "tree"]}
    prompts = {"sea": "the sea", "jungle": ["a forest", "trees"]}
    more: list[dict[str, Any]] = [
        {"name": "words", "kind": "category", "feature": "net", "words": words},
        {"name": "near", "kind": "similarity", "feature": "clip", "prompts": prompts, "margin": 0},
        {"name": "one", "kind": "similarity", "feature": "clip", "text": "the sea"},
    ]
    more[0]["word_vectors"] = str(networks.words)
    listed = {"sea": ["fishing boat"], "jungle": ["oak tree"]}
    more.append({"name": "listed", "kind": "category", "feature": "net", "categories": listed})
    more[2] |= {"class": "sea", "present_above": 0.0}
    training = {"network": "torchvision/mobilenet_v3_small", "feature": "thumbnail", "epochs": 1}
    training |= {
        "preprocess": {"resize": 32, "crop": 32},
        "labels": ["original", "soft"],
        "validate_on": "truth",
    }
    project = small_project(
        tmp_path,
        scenes,
        features=features,
        labeling_functions=config["labeling_functions"] + more,
        training=training,
    )
    assert made(project)["predict"] == 1
    evaluation = list(pipeline.run(project))[-2].evaluation
    assert set(evaluation.labels) == {"label", "majority_label"}
    assert len(evaluation.functions) == 7
    assert set(evaluation.networks) == {"original", "soft"}
    assert evaluation.networks["original"].num_images == 12
    assert {row.missing for row in status(project)} == {0}
    top = [ids[0] for ids in feature(project, "net").column("category_ids").to_pylist()]
    named = {CATEGORIES.index("fishing boat"): 1, CATEGORIES.index("oak tree"): 0}
    assert votes_of(project, "listed").tolist() == [named.get(category, -1) for category in top]
    more[3] = more[3] | {"categories": {"sea": ["fishing boot"]}}
    functions = config["labeling_functions"] + more
    wrong = small_project(tmp_path, scenes, features=features, labeling_functions=functions)
    with pytest.raises(ConfigError, match="no category 'fishing boot'; did you mean 'fishing boat"):
        vote.run(Workspace(wrong))


def test_the_page_shows_what_was_run(networks: Networks, embedded: Path) -> None:
    function = like(embedded / "photos", present_above={"quantile": 0.75})
    project = on_embeddings(embedded, networks, [function])
    made(project)
    page = Path(project.workspace, Workspace(project).report).read_text()
    for text in ("Labeling functions", "mean", "like", "not_an_image", "coast/broken.jpg"):
        assert text in page
    assert page.count("Most confident") == 2
    assert page.count('<svg class="chart"') == 3  # a score, confidence, a curve
    for pairs in (
        "Share of all images on which both vote.",
        "which both vote where they disagree.",
    ):
        assert pairs in page
    assert "featurize" in page
    assert made(project)["report"] == 0


def test_a_stage_is_done_alone_or_says_what_it_lacks(scenes: Path, tmp_path: Path) -> None:
    project = small_project(tmp_path, scenes)
    assert pipeline.run_stage(project, "ingest").made == 8
    assert pipeline.run_stage(project, "ingest").made == 0
    with pytest.raises(WorkLeft, match="8 shards lack features; run the stage featurize first"):
        pipeline.run_stage(project, "vote")
    with pytest.raises(ConfigError, match="training: is missing; the stage train needs it"):
        pipeline.run_stage(project, "train")
    with pytest.raises(ConfigError, match="there is no stage 'lable'; did you mean 'label'"):
        pipeline.run_stage(project, "lable")
    with pytest.raises(ConfigError, match="there is no stage 'fetaurize'; did you mean 'featurize"):
        made(project, until="fetaurize")


def test_the_time_of_what_was_made_is_kept(scenes: Path, tmp_path: Path) -> None:
    project = small_project(tmp_path, scenes)
    made(project, until="ingest")
    made(project, until="ingest")
    (entry,) = log.read(Workspace(project).location)
    assert (entry.stage, entry.made, entry.num_images) == ("ingest", 8, 60)
    assert entry.seconds > 0


def test_a_network_is_known_by_its_name_once_it_is_trained(learnable: Learnable) -> None:
    project = learnable.load(name="named", training=LINEAR | {"labels": "soft", "seed": 4242})
    with pytest.raises(ConfigError, match=r"there is no network 'sofd'; did you mean 'soft'"):
        pipeline.require_trained(project, "sofd")
    with pytest.raises(WorkLeft, match=r"network\.safetensors is missing; run the stage train fir"):
        pipeline.require_trained(project, "soft")
    with pytest.raises(ConfigError, match=r"there is no network 'soft'; none is valid here"):
        pipeline.require_trained(learnable.load(name="unnamed"), "soft")


ONE_CPU = """
import ray, sys
from wslabel import pipeline
from wslabel.project.loading import load
ray.init("local", num_cpus=1, include_dashboard=False, log_to_driver=False)
print([result.made for result in pipeline.run(load(sys.argv[1]))])
"""


@pytest.mark.long
def test_a_cluster_of_one_cpu_is_enough(scenes: Path, tmp_path: Path) -> None:
    engine = {"driver_groups": 0}
    config = write_config(tmp_path / "p.yaml", tiny_config(scenes, engine=engine))
    environment = {k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"}
    done = subprocess.run(
        [sys.executable, "-c", ONE_CPU, str(config)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=400,
        check=False,
    )
    assert done.stdout.strip().endswith("[8, 8, 1, 1, 1, 1]"), done.stderr
