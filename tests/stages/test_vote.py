"""Every function votes on every image, in workers as in the driver; its failure stops the job."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.conftest import Networks, tiny_config
from tests.small import feature, like, made, on_embeddings, small_project, votes_of
from wslabel.errors import ConfigError, LabelingFunctionError, StorageError
from wslabel.stages import vote
from wslabel.storage.table import shard_name
from wslabel.workspace.workspace import Workspace

pytestmark = pytest.mark.usefixtures("cluster")


def test_a_failing_function_stops_the_job_and_names_itself_and_an_image(
    scenes: Path, tmp_path: Path
) -> None:
    (tmp_path / "my_lfs.py").write_text(
        "import numpy as np\n"
        "def shaky(batch):\n"
        "    if 'f03' in batch['title'].tolist():\n"
        "        raise KeyError('title')\n"
        "    return np.zeros(len(batch['title']), int)\n"
    )
    paths = sorted(scenes.rglob("*.jpg"))
    listed = pa.table({"uri": [str(p) for p in paths], "title": [p.stem for p in paths]})
    pq.write_table(listed, tmp_path / "list.parquet")
    images = {"source": "table", "path": "list.parquet", "metadata": ["title"], "shard_size": 8}
    functions = tiny_config(scenes)["labeling_functions"]
    shaky = {"name": "shaky", "kind": "python", "function": "my_lfs:shaky", "metadata": ["title"]}
    functions.append(shaky)
    project = small_project(tmp_path, scenes, images=images, labeling_functions=functions)
    with pytest.raises(LabelingFunctionError, match=r"shaky raised on image '.*/forest/f03.jpg'"):
        made(project)
    assert not Workspace(project).votes.table.names()


def test_features_of_other_images_are_no_features(photos: Path, tmp_path: Path) -> None:
    """The manifest was removed and drawn anew of a source that had grown."""
    project = small_project(tmp_path, photos)
    made(project, until="featurize")
    shutil.rmtree(tmp_path / "ws" / "images")
    shutil.copy(photos / "coast" / "c00.jpg", photos / "coast" / "new.jpg")
    assert made(project, until="featurize")["ingest"] == 8
    told = r"features/color-\w+/0000\d.parquet: is of other images than images/0000"
    with pytest.raises(StorageError, match=told):
        made(project, until="vote")
    assert not Workspace(project).votes.table.names()


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
        section = {"kind": "python", "function": f"lfs_of_mine:{name}", "features": ["color"]}
        functions.append({"name": name} | section)
    engine = {"driver_groups": driver_groups}
    project = small_project(tmp_path, scenes, labeling_functions=functions, engine=engine)
    made(project)
    votes = Workspace(project).votes
    table = votes.table.read(votes.items[0].name)
    colors = feature(project)
    red = colors.column("mean_red").to_numpy() > 60
    blue = colors.column("mean_blue").to_numpy() > colors.column("mean_green").to_numpy()
    assert table.column("reddish").to_pylist() == [0 if r else -1 for r in red]
    assert table.column("bluish").to_pylist() == [1 if b else -1 for b in blue]


def test_the_source_of_a_python_function_names_its_votes(scenes: Path, tmp_path: Path) -> None:
    functions = tiny_config(scenes)["labeling_functions"]
    own = {"kind": "python", "function": "lfs_that_change:all_sea", "features": ["color"]}
    functions.append({"name": "all"} | own)
    source = "import numpy as np\ndef all_sea(batch):\n    return np.{}({}, int)\n".replace(
        "({}", "(len(batch['color_mean_red'])"
    )
    (tmp_path / "lfs_that_change.py").write_text(source.format("ones"))
    project = small_project(tmp_path, scenes, labeling_functions=functions)
    made(project)
    assert made(project)["vote"] == 0
    (tmp_path / "lfs_that_change.py").write_text(source.format("zeros"))
    assert made(project)["vote"] == 1


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
    project = small_project(tmp_path, scenes, images=images, labeling_functions=functions)
    made(project, until="vote")
    order = Workspace(project).images.read(shard_name(0)).column("title").to_pylist()
    expected = [1 if t and "coast" in t else -1 for t in order]
    assert votes_of(project, "words").tolist() == expected
    assert votes_of(project, "not_sea").tolist() == [
        0 if t and "forest" in t else -1 for t in order
    ]
    functions[1] = functions[1] | {"column": "year"}
    wrong = small_project(tmp_path, scenes, images=images, labeling_functions=functions)
    with pytest.raises(ConfigError, match=r"\(words\): expected text in column 'year'"):
        vote.run(Workspace(wrong))


def test_inverted_similarity_exchanges_the_classes(networks: Networks, embedded: Path) -> None:
    thresholds = {"present_above": 0.9, "absent_below": 0.8}
    functions = [like(embedded / "photos", **thresholds)]
    functions.append(like(embedded / "photos", name="unlike", invert=True, **thresholds))
    project = on_embeddings(embedded, networks, functions)
    assert made(project, until="vote")["featurize"] == 0
    votes = votes_of(project, "like")
    assert {0, 1} <= set(votes.tolist())
    assert votes_of(project, "unlike").tolist() == np.where(votes < 0, -1, 1 - votes).tolist()


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
    project = on_embeddings(embedded, networks, functions)
    made(project, until="vote")
    vectors = {
        function.name: function.vectors_PD[0]
        for function in Workspace(project).functions.applier.functions[2:]
    }
    ids = feature(project, "clip").column("image_id").to_pylist()
    stored = feature(project, "clip").column("embedding")[ids.index("coast/c00.jpg")].as_py()
    assert vectors["whole"] == pytest.approx(np.array(stored), abs=2e-3)
    assert vectors["cropped"] == pytest.approx(vectors["part"], abs=1e-5)
    assert np.abs(vectors["cropped"] - vectors["whole"]).max() > 1e-2
