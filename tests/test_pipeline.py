"""The stages together: what is made, what is not made again, and where every image ends."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.conftest import CATEGORIES, Networks, paint, tiny_config, write_config
from tests.kill.runs import contents, finish, start
from wslabel import pipeline
from wslabel.config import load
from wslabel.errors import (
    ConfigError,
    LabelingFunctionError,
    SourceError,
    TooManyErrors,
)
from wslabel.settings import S3, Project
from wslabel.steps.init import project_for
from wslabel.steps.tables import Tables
from wslabel.storage.table import shard_name

pytestmark = pytest.mark.usefixtures("cluster")


STAGES = ("ingest", "featurize", "vote", "label", "evaluate", "report")


@pytest.fixture
def photos(scenes: Path, tmp_path: Path) -> Path:
    """A copy of the scenes that a test may spoil."""
    shutil.copytree(scenes, tmp_path / "photos")
    return tmp_path / "photos"


def project(folder: Path, photos: Path, **sections: Any) -> Project:
    return load(write_config(folder / "p.yaml", tiny_config(photos, **sections)))


def made(project: Project, **options: Any) -> dict[str, int]:
    return {outcome.stage: outcome.made for outcome in pipeline.run(project, **options)}


def feature(project: Project, name: str = "color") -> pa.Table:
    tables = Tables(project)
    table = tables.extractors[name].table(tables.location)
    known = tables.generations[name]
    return pa.concat_tables(table.read(shard_name(s, known[s])) for s in tables.shards)


def test_a_second_run_makes_nothing_and_a_changed_function_only_what_hangs_on_it(
    scenes: Path, tmp_path: Path
) -> None:
    first = project(tmp_path, scenes)
    assert made(first) == dict.fromkeys(STAGES, 1) | {"ingest": 8, "featurize": 8}
    nothing = dict.fromkeys(STAGES, 0)
    assert made(first) == nothing
    functions = tiny_config(scenes)["labeling_functions"]
    functions[2] = functions[2] | {"votes": {"green": "jungle"}}
    other = project(tmp_path, scenes, labeling_functions=functions)
    assert made(other) == nothing | {"vote": 1, "label": 1, "evaluate": 1, "report": 1}
    assert made(first) == nothing
    assert made(other) == nothing


def test_a_run_of_nothing_starts_no_ray_and_is_quick(scenes: Path, tmp_path: Path) -> None:
    assert made(project(tmp_path, scenes))["featurize"] == 8
    begun = time.monotonic()
    out = finish(start(tmp_path / "p.yaml"))
    assert "nothing to do: all tables are there; Ray was not started" in out
    assert time.monotonic() - begun < 15


def test_new_images_become_new_shards(photos: Path, tmp_path: Path) -> None:
    one = project(tmp_path, photos)
    made(one)
    before = contents(str(tmp_path / "ws"))
    for index in range(5):
        paint(photos / "coast" / f"new{index}.jpg", "sea", 500 + index)
    assert made(one) == dict.fromkeys(STAGES, 1)
    after = contents(str(tmp_path / "ws"))
    kept = [path for path in before if path.startswith(("images/", "features/"))]
    assert kept
    assert all(after[path] == before[path] for path in kept)
    # The group's file was replaced by one that also covers the new shard.
    assert sum(path.startswith("votes/") for path in after) == 1
    assert Tables(one).votes.works[0].name == "00000-00008.parquet"


def test_every_image_ends_in_one_state_and_errors_can_be_taken_up_again(
    photos: Path, tmp_path: Path
) -> None:
    one = project(tmp_path, photos)
    pipeline.ingest(one)
    good = (photos / "coast" / "c03.jpg").read_bytes()
    (photos / "coast" / "c03.jpg").write_bytes(b"<html>not found</html>")
    (photos / "coast" / "c04.jpg").write_bytes(good[: len(good) // 3])
    (photos / "forest" / "f07.jpg").unlink()
    outcome = pipeline.featurize(one)
    assert outcome.errors == {"not_an_image": 2, "missing": 1}
    assert outcome.num_images == 60
    made(one)
    table = feature(one)
    assert table.num_rows == 60
    assert table.column("mean_red").null_count == table.column("error").drop_null().length() == 3
    status = {row.table: row for row in pipeline.status(one)}
    assert status["features/color"].errors == {"not_an_image": 2, "missing": 1}
    assert status["labels"].rows == 60
    # Nothing has changed for the missing one: no new generation, nothing made anew.
    assert made(one, retry=["missing"])["vote"] == 0
    (photos / "coast" / "c03.jpg").write_bytes(good)
    again = made(one, retry=["not_an_image"])
    assert again["vote"] == again["label"] == 1
    healed = feature(one)
    row = healed.column("image_id").to_pylist().index("coast/c03.jpg")
    assert healed.column("error")[row].as_py() is None
    assert healed.column("error").drop_null().length() == 2
    assert healed.column("image_id").equals(table.column("image_id"))
    tables = Tables(one)
    names = tables.extractors["color"].table(tables.location).names()
    assert sorted(n for n in names if ".1." in n) == [n for n in names if n.count(".") == 2]
    assert len(names) == 8
    assert made(one) == dict.fromkeys(STAGES, 0)


def test_too_many_errors_stop_the_job_before_anything_of_the_shard_is_kept(
    photos: Path, tmp_path: Path
) -> None:
    one = project(tmp_path, photos, engine={"max_error_share": 0.5})
    pipeline.ingest(one)
    for path in photos.rglob("*.jpg"):
        path.write_bytes(b"")
    with pytest.raises(TooManyErrors, match=r"8 of 8 images failed \(not_an_image 8\)"):
        pipeline.featurize(one)
    assert Tables(one).generations == {"color": {}}


def test_an_image_that_kills_the_decoder_costs_one_row(photos: Path, tmp_path: Path) -> None:
    good = (photos / "coast" / "c05.jpg").read_bytes()
    (photos / "coast" / "c05.jpg").write_bytes(good + b"POISON")
    one = project(tmp_path, photos)
    finish(start(tmp_path / "p.yaml", WSLABEL_POISON="1"))
    table = feature(one)
    failed = table.filter(pa.compute.is_valid(table.column("error")))
    assert failed.select(["image_id", "error"]).to_pylist() == [
        {"image_id": "coast/c05.jpg", "error": "crashed"}
    ]
    assert table.num_rows == 60


def test_a_failing_function_stops_the_job_and_names_itself_and_an_image(
    scenes: Path, tmp_path: Path
) -> None:
    (tmp_path / "my_lfs.py").write_text(
        "import numpy as np\n"
        "def shaky(batch):\n"
        "    if 'forest/f03.jpg' in batch['image_id'].tolist():\n"
        "        raise KeyError('title')\n"
        "    return np.zeros(len(batch['image_id']), int)\n"
    )
    functions = tiny_config(scenes)["labeling_functions"]
    functions.append({"name": "shaky", "kind": "python", "function": "my_lfs:shaky"})
    one = project(tmp_path, scenes, labeling_functions=functions)
    with pytest.raises(LabelingFunctionError, match=r"shaky raised on image 'forest/f03.jpg'"):
        made(one)
    assert not Tables(one).votes.table.names()


@pytest.mark.parametrize("driver_groups", [0, 2], ids=["on ray", "in the driver"])
def test_python_functions_vote_in_workers_as_in_the_driver(
    scenes: Path, tmp_path: Path, driver_groups: int
) -> None:
    (tmp_path / "lfs_of_mine.py").write_text(
        "import numpy as np\n"
        "from snorkel.labeling import labeling_function\n"
        "def reddish(batch):\n"
        "    return np.where(batch['color_mean_red'] > 60, 0, -1)\n"
        "@labeling_function()\n"
        "def bluish(x):\n"
        "    return 1 if x.color_mean_blue > x.color_mean_green else -1\n"
    )
    functions = tiny_config(scenes)["labeling_functions"]
    for name in ("reddish", "bluish"):
        how = {"kind": "python", "function": f"lfs_of_mine:{name}", "features": ["color"]}
        functions.append({"name": name} | how)
    engine = {"driver_groups": driver_groups}
    one = project(tmp_path, scenes, labeling_functions=functions, engine=engine)
    made(one)
    votes = Tables(one).votes
    table = votes.table.read(votes.works[0].name)
    colors = feature(one)
    red = colors.column("mean_red").to_numpy() > 60
    blue = colors.column("mean_blue").to_numpy() > colors.column("mean_green").to_numpy()
    assert table.column("reddish").to_pylist() == [0 if r else -1 for r in red]
    assert table.column("bluish").to_pylist() == [1 if b else -1 for b in blue]


def test_the_source_of_a_python_function_names_its_votes(scenes: Path, tmp_path: Path) -> None:
    functions = tiny_config(scenes)["labeling_functions"]
    functions.append({"name": "all", "kind": "python", "function": "lfs_that_change:all_sea"})
    source = (
        "import numpy as np\ndef all_sea(batch):\n    return np.{}(len(batch['image_id']), int)\n"
    )
    (tmp_path / "lfs_that_change.py").write_text(source.format("ones"))
    one = project(tmp_path, scenes, labeling_functions=functions)
    made(one)
    assert made(one)["vote"] == 0
    (tmp_path / "lfs_that_change.py").write_text(source.format("zeros"))
    assert made(one)["vote"] == 1


def test_a_workspace_refuses_images_drawn_in_another_way(scenes: Path, tmp_path: Path) -> None:
    pipeline.ingest(project(tmp_path, scenes))
    images = tiny_config(scenes)["images"] | {"seed": 5}
    with pytest.raises(ConfigError, match=r"images.seed: .* drawn with 0, found 5"):
        pipeline.ingest(project(tmp_path, scenes, images=images))


def test_an_unknown_error_kind_is_refused(scenes: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no error kind 'mising'; did you mean 'missing'"):
        pipeline.featurize(project(tmp_path, scenes), retry=["mising"])


def test_a_stage_before_its_time_says_what_comes_first(scenes: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no images yet"):
        pipeline.featurize(project(tmp_path, scenes))


def test_the_whole_story_with_networks_in_one_job_each(
    scenes: Path, networks: Networks, tmp_path: Path
) -> None:
    config = tiny_config(scenes)
    how = {"resize": 32, "crop": 32}
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
    training |= {"preprocess": how, "labels": ["original", "soft"], "validate_on": "truth"}
    one = project(
        tmp_path,
        scenes,
        features=features,
        labeling_functions=config["labeling_functions"] + more,
        training=training,
    )
    assert made(one)["predict"] == 1
    report = list(pipeline.run(one))[-2].report
    assert set(report) >= {"label", "majority_label", "networks", "labeling_functions"}
    assert set(report["networks"]) == {"original", "soft"}
    assert report["networks"]["original"]["test"]["num_images"] == 12
    assert {row.missing for row in pipeline.status(one)} == {0}
    top = [ids[0] for ids in feature(one, "net").column("category_ids").to_pylist()]
    named = {CATEGORIES.index("fishing boat"): 1, CATEGORIES.index("oak tree"): 0}
    assert votes_of(one, "listed").tolist() == [named.get(category, -1) for category in top]
    more[3] = more[3] | {"categories": {"sea": ["fishing boot"]}}
    functions = config["labeling_functions"] + more
    wrong = project(tmp_path, scenes, features=features, labeling_functions=functions)
    with pytest.raises(ConfigError, match="no category 'fishing boot'; did you mean 'fishing boat"):
        pipeline.vote(wrong)


def with_clip(networks: Networks) -> dict[str, Any]:
    return {"color": None, "clip": networks.clip(precision="float32")}


@pytest.fixture(scope="module")
def embedded(
    scenes: Path, networks: Networks, cluster: None, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A folder of photos, one of them broken, and a workspace with their features.

    Tests may share it: votes have names of their own.
    """
    folder = tmp_path_factory.mktemp("embedded")
    shutil.copytree(scenes, folder / "photos")
    (folder / "photos" / "coast" / "broken.jpg").write_bytes(b"no image")
    made(on_embeddings(folder, networks, []), until="featurize")
    return folder


def on_embeddings(folder: Path, networks: Networks, functions: list[dict[str, Any]]) -> Project:
    photos = folder / "photos"
    features = with_clip(networks) | {"thumbnail": {"size": 32}}
    usual = tiny_config(photos)["labeling_functions"]
    functions = usual[:2] + (functions or usual[2:])
    return project(folder, photos, features=features, labeling_functions=functions)


def like(photos: Path, **more: Any) -> dict[str, Any]:
    example = {"kind": "similarity", "feature": "clip", "image": str(photos / "coast/c00.jpg")}
    return {"name": "like", "class": "sea"} | example | more


def cosines_to_example(one: Project) -> np.ndarray:
    """Cosine of each image to the first of them, from the table alone."""
    embeddings = np.stack(feature(one, "clip").column("embedding").to_pylist()).astype(np.float32)
    ids = feature(one, "clip").column("image_id").to_pylist()
    return embeddings @ embeddings[ids.index("coast/c00.jpg")]


def votes_of(one: Project, name: str) -> np.ndarray:
    votes = Tables(one).votes
    parts = [votes.table.read(work.name, [name]).column(name) for work in votes.works]
    return np.concatenate([part.to_numpy() for part in parts])


def test_similarity_to_an_example_by_quantile_is_frozen_until_told(
    photos: Path, networks: Networks, tmp_path: Path
) -> None:
    functions = tiny_config(photos)["labeling_functions"]
    functions[2] = like(photos, present_above={"quantile": 0.75}, absent_below={"quantile": 0.25})
    one = project(tmp_path, photos, features=with_clip(networks), labeling_functions=functions)
    made(one, until="featurize")
    before = Tables(one).location.files("constants")
    folders = {row.table: row.folder for row in pipeline.status(one)}
    assert folders["votes"] == folders["labels"] == "(not made yet)"
    assert Tables(one).location.files("constants") == before
    assert made(one, until="vote")["vote"] == 1
    assert pipeline.status(one)[3].rows == 60
    cosines, votes = cosines_to_example(one), votes_of(one, "like")
    above, below = np.quantile(cosines, [0.75, 0.25])
    clear = (np.abs(cosines - above) > 1e-3) & (np.abs(cosines - below) > 1e-3)
    expected = np.where(cosines > above, 1, np.where(cosines < below, 0, -1))
    assert clear.sum() > 50
    assert votes[clear].tolist() == expected[clear].tolist()

    for index in range(30):
        paint(photos / "forest" / f"new{index}.jpg", "sea", index)
    assert made(one, until="vote")["vote"] == 1
    assert votes_of(one, "like")[: len(votes)].tolist() == votes.tolist()
    assert made(one, until="vote")["vote"] == 0
    assert made(one, until="vote", refresh=True)["vote"] == 1
    above = np.quantile(cosines_to_example(one), 0.75)
    assert abs((votes_of(one, "like") == 1).mean() - 0.25) < 0.02
    assert made(one, until="vote")["vote"] == 0


def test_inverted_similarity_exchanges_the_classes(networks: Networks, embedded: Path) -> None:
    thresholds = {"present_above": 0.9, "absent_below": 0.8}
    functions = [like(embedded / "photos", **thresholds)]
    functions.append(like(embedded / "photos", name="unlike", invert=True, **thresholds))
    one = on_embeddings(embedded, networks, functions)
    assert made(one, until="vote")["featurize"] == 0
    votes = votes_of(one, "like")
    assert {0, 1} <= set(votes.tolist())
    assert votes_of(one, "unlike").tolist() == np.where(votes < 0, -1, 1 - votes).tolist()


def test_a_crop_is_an_example_of_its_own(
    networks: Networks, embedded: Path, tmp_path: Path
) -> None:
    photos = embedded / "photos"
    with Image.open(photos / "coast/c00.jpg") as whole:
        width, height = whole.size
        box = (width // 4, 0, width // 2, height // 2)
        whole.crop(box).save(tmp_path / "part.png")
    functions = [
        like(photos, name="whole", present_above={"quantile": 0.5}),
        like(photos, name="cropped", crop=[0.25, 0, 0.5, 0.5], present_above={"quantile": 0.5}),
        like(photos, name="part", present_above={"quantile": 0.5})
        | {"image": str(tmp_path / "part.png")},
    ]
    one = on_embeddings(embedded, networks, functions)
    made(one, until="vote")
    vectors = {voter.name: voter.vectors_PD[0] for voter in Tables(one).court.jury.voters[2:]}
    ids = feature(one, "clip").column("image_id").to_pylist()
    stored = feature(one, "clip").column("embedding")[ids.index("coast/c00.jpg")].as_py()
    assert vectors["whole"] == pytest.approx(np.array(stored), abs=2e-3)
    assert vectors["cropped"] == pytest.approx(vectors["part"], abs=1e-5)
    assert np.abs(vectors["cropped"] - vectors["whole"]).max() > 1e-2


def test_patterns_read_a_column_of_the_images(scenes: Path, tmp_path: Path) -> None:
    paths = sorted(scenes.rglob("*.jpg"))
    titles = [None if i % 5 == 0 else f"a {p.parent.name} at dawn" for i, p in enumerate(paths)]
    listed = pa.table({"uri": [str(p) for p in paths], "title": titles, "year": [1] * len(paths)})
    pq.write_table(listed, tmp_path / "list.parquet")
    images = {"source": "table", "path": "list.parquet", "metadata": ["title", "year"]}
    functions = tiny_config(scenes)["labeling_functions"]
    functions[1] = {"name": "words", "kind": "pattern", "column": "title", "class": "sea"}
    functions[2] = functions[1] | {"name": "not_sea", "regex": "fo.*t", "invert": True}
    functions[1] |= {"keywords": ["coast"]}
    one = project(tmp_path, scenes, images=images, labeling_functions=functions)
    made(one, until="vote")
    order = Tables(one).images.read(shard_name(0)).column("title").to_pylist()
    expected = [1 if t and "coast" in t else -1 for t in order]
    assert votes_of(one, "words").tolist() == expected
    assert votes_of(one, "not_sea").tolist() == [0 if t and "forest" in t else -1 for t in order]
    for column, reason in (("titel", "did you mean 'title'"), ("year", "expected text in column")):
        functions[1] = functions[1] | {"column": column}
        wrong = project(tmp_path, scenes, images=images, labeling_functions=functions)
        with pytest.raises(ConfigError, match=rf"\(words\): .*{reason}"):
            pipeline.vote(wrong)


def test_the_page_shows_what_was_run(networks: Networks, embedded: Path) -> None:
    function = like(embedded / "photos", present_above={"quantile": 0.75})
    one = on_embeddings(embedded, networks, [function])
    made(one)
    page = Path(one.workspace, Tables(one).report).read_text()
    for text in ("Labeling functions", "mean", "like", "not_an_image", "coast/broken.jpg"):
        assert text in page
    assert page.count("Most confident") == 2
    assert page.count('<svg class="chart"') == 5  # two of pairs, a score, confidence, a curve
    assert "featurize" in page
    assert made(one)["report"] == 0


def test_an_image_is_explained(networks: Networks, embedded: Path) -> None:
    one = on_embeddings(embedded, networks, [like(embedded / "photos", present_above=0.9)])
    made(one, until="label")
    found = pipeline.explain(one, "coast/c00.jpg")
    like_it = found["votes"]["like"]
    assert (found["truth"], like_it["vote"], like_it["above"]) == ("sea", "sea", 0.9)
    assert like_it["score"] == pytest.approx(1.0, abs=0.01)
    # What the votes add makes up the label; this label model takes the classes for equally common.
    odds = sum(vote.get("evidence", 0.0) for vote in found["votes"].values())
    assert 1 / (1 + np.exp(-odds)) == pytest.approx(
        max(found["label"]["probabilities"].values()), abs=1e-3
    )
    assert found["features"]["clip"]["embedding"] == "16 numbers"
    assert found["features"]["thumbnail"]["jpeg"].endswith(" bytes")
    labels = pa.concat_tables(
        [Tables(one).labels.table.read(work.name) for work in Tables(one).labels.works]
    )
    row = labels.column("image_id").to_pylist().index("coast/c00.jpg")
    probabilities = labels.column("probabilities")[row].as_py()
    assert list(found["label"]["probabilities"].values()) == pytest.approx(probabilities, abs=1e-4)
    assert found["features"]["color"]["mean_blue"] > 0
    assert json.loads(json.dumps(found)) == found
    with pytest.raises(SourceError, match=r"no image .* 'coast/c0.jpg'; did you mean 'coast/c.0"):
        pipeline.explain(one, "coast/c0.jpg")


def test_a_folder_gets_a_project_that_runs(scenes: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(project_for(str(scenes), path.name, S3()))
    one = load(path)
    assert one.classes == ["coast", "forest"]
    assert made(one)["vote"] == 1
    odd = tmp_path / "a: b, {c}"
    for name in ("yes", "a, b: 'c' #1", "海"):
        shutil.copytree(scenes / "coast", odd / name)
    path.write_text(project_for(str(odd), path.name, S3()), encoding="utf-8")
    assert sorted(load(path).classes) == sorted(["yes", "a, b: 'c' #1", "海"])
    flat = tmp_path / "flat"
    flat.mkdir()
    shutil.copy(scenes / "coast/c00.jpg", flat)
    path.write_text(project_for(str(flat), path.name, S3()))
    assert load(path).classes == ["this", "that"]
    with pytest.raises(SourceError, match="no image found"):
        project_for(str(tmp_path / "none"), path.name, S3())


ONE_CPU = """
import ray, sys
from wslabel import pipeline
from wslabel.config import load
ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
print([outcome.made for outcome in pipeline.run(load(sys.argv[1]))])
"""


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
