"""Every kind of labeling function, made from a project file, keeps the contract of a function."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ray import cloudpickle

from tests.conftest import Networks, tiny_config, write_config
from wslabel.labeling.labeling_function import Batch, LabelingFunction
from wslabel.labeling.registry import LABELING_FUNCTIONS
from wslabel.project.loading import load
from wslabel.schema import ABSTAIN, RESERVED
from wslabel.workspace.workspace import Workspace

BY_WORDS: dict[str, Any] = {"kind": "category", "feature": "net"}
CLIP: dict[str, Any] = {"kind": "similarity", "feature": "clip"}
SEA: dict[str, Any] = CLIP | {"class": "sea"}
KINDS: dict[str, dict[str, Any]] = {
    "mean": {"kind": "color", "statistic": "mean", "votes": {"blue": "sea", "green": "jungle"}},
    "pixel": {"kind": "color", "statistic": "pixel", "votes": {"red": "sea"}},
    "words": BY_WORDS | {"words": {"sea": ["sea", "water"], "jungle": ["forest", "tree"]}},
    "listed": BY_WORDS | {"categories": {"sea": ["fishing boat"], "jungle": ["oak tree"]}},
    "sure": BY_WORDS | {"categories": {"sea": ["fishing boat"]}, "min_probability": 0.6},
    "prompts": CLIP | {"prompts": {"sea": "the sea", "jungle": ["a forest", "trees"]}},
    "led": CLIP | {"prompts": {"sea": "the sea", "jungle": "a forest"}, "margin": 0.01},
    "text": SEA | {"text": "the sea", "present_above": 0.1, "absent_below": -0.1},
    "inverted": SEA | {"text": "the sea", "present_above": 0.1, "invert": True},
    "image": SEA | {"image": "example.jpg", "present_above": 0.0},
    "crop": SEA | {"image": "example.jpg", "crop": [0, 0.5, 1, 1], "absent_below": 0.0},
    "keywords": {"kind": "pattern", "column": "title", "class": "sea", "keywords": ["beach"]},
    "regex": {"kind": "pattern", "column": "title", "class": "jungle", "regex": "(?i)tree|leaf"},
    "python": {"kind": "python", "function": "own:titled", "metadata": ["title"]},
    "snorkel": {"kind": "python", "function": "own:bluish", "features": ["color"]},
}
OWN = """
import numpy as np
from snorkel.labeling import labeling_function


def titled(batch):
    return np.array([1 if title and "beach" in title else -1 for title in batch["title"]], int)


@labeling_function()
def bluish(x):
    return 1 if x.color_mean_blue > x.color_mean_green else -1
"""
TITLES = ("At the beach", "Old trees", "BEACH", "", None, "Überall am Strand", "leaf\nbeach")


@pytest.fixture(scope="module")
def functions(
    scenes: Path, networks: Networks, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, LabelingFunction]:
    folder = tmp_path_factory.mktemp("project")
    (folder / "own.py").write_text(OWN)
    (folder / "example.jpg").write_bytes(next(scenes.glob("coast/*.jpg")).read_bytes())
    sections = [{"name": name} | copy.deepcopy(section) for name, section in KINDS.items()]
    sections[2]["word_vectors"] = str(networks.words)
    categories = {"file": str(networks.categories)}
    features = {
        "color": None,
        "net": networks.net(categories=categories, precision="float32", top_k=2),
        "clip": networks.clip(precision="float32"),
    }
    titled = {"source": "generated", "path": "drawn"}
    config = tiny_config(scenes, images=titled, features=features, labeling_functions=sections)
    project = load(write_config(folder / "p.yaml", config))
    return {function.name: function for function in Workspace(project).functions.applier.functions}


def images(
    functions: dict[str, LabelingFunction], size: int, seed: int = 0
) -> dict[str, np.ndarray]:
    """Columns as they are read: the last image has failed in every feature."""
    rng = np.random.default_rng(seed)
    text: Any = functions["text"]
    toward = rng.normal(size=(size, 1)) * 3
    vectors = rng.normal(size=(size, text.vectors_PD.shape[1])) + toward * text.vectors_PD
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    columns = {
        "image_id": np.array([f"image-{n}" for n in range(size)], object),
        "title": np.array([TITLES[n % len(TITLES)] for n in range(size)], object),
        "net.category_ids": rng.integers(0, 5, (size, 2)).astype(np.int16),
        "net.category_probabilities": rng.random((size, 2)).astype(np.float32),
        "clip.embedding": vectors.astype(np.float16),
    }
    for channel in ("red", "green", "blue"):
        columns[f"color.mean_{channel}"] = rng.uniform(0, 255, size)
        columns[f"color.pixels_{channel}"] = rng.integers(0, 99, size).astype(float)
    for name, column in columns.items():
        if size and "." in name:
            column[-1] = -1 if name == "net.category_ids" else np.nan
        elif size and name == "title":
            column[-1] = None
    return columns


def take(batch: Batch, rows: Any) -> dict[str, np.ndarray]:
    return {name: column[rows] for name, column in batch.items()}


def test_all_kinds_are_here() -> None:
    assert set(LABELING_FUNCTIONS) == {section["kind"] for section in KINDS.values()}


@pytest.mark.parametrize("name", KINDS)
class TestContract:
    def test_votes_are_classes_or_abstentions(
        self, functions: dict[str, LabelingFunction], name: str
    ) -> None:
        votes = functions[name](images(functions, 300))
        assert votes.shape == (300,)
        assert np.issubdtype(votes.dtype, np.integer)
        # It has an opinion now and then, and abstains now and then: else it shows nothing here.
        assert set(votes.tolist()) in ({-1, 0}, {-1, 1}, {-1, 0, 1})

    def test_a_vote_depends_on_its_image_alone(
        self, functions: dict[str, LabelingFunction], name: str
    ) -> None:
        batch = images(functions, 40)
        together = functions[name](batch)
        order = np.random.default_rng(1).permutation(40)
        assert functions[name](take(batch, order)).tolist() == together[order].tolist()
        alone = [functions[name](take(batch, [row]))[0] for row in range(40)]
        assert alone == together.tolist()

    def test_it_changes_nothing_and_remembers_nothing(
        self, functions: dict[str, LabelingFunction], name: str
    ) -> None:
        batch = images(functions, 30)
        before = copy.deepcopy(batch)
        first = functions[name](batch)
        functions[name](images(functions, 50, seed=7))
        for column, values in batch.items():
            assert np.array_equal(values, before[column], equal_nan=values.dtype.kind == "f")
        assert functions[name](batch).tolist() == first.tolist()

    def test_a_failed_image_and_none_at_all(
        self, functions: dict[str, LabelingFunction], name: str
    ) -> None:
        assert functions[name](images(functions, 20))[-1] == ABSTAIN
        assert functions[name](images(functions, 0)).shape == (0,)

    def test_it_travels_to_workers(self, functions: dict[str, LabelingFunction], name: str) -> None:
        again = cloudpickle.loads(cloudpickle.dumps(functions[name]))
        batch = images(functions, 60)
        assert again(batch).tolist() == functions[name](batch).tolist()
        assert again.name == name

    def test_it_reads_what_it_says_and_nothing_else(
        self, functions: dict[str, LabelingFunction], name: str
    ) -> None:
        batch = images(functions, 25)
        reads = functions[name].reads
        assert RESERVED.isdisjoint(reads)
        only = {column: batch[column] for column in reads}
        assert functions[name](only).tolist() == functions[name](batch).tolist()
        for column in reads:
            less = {other: values for other, values in only.items() if other != column}
            with pytest.raises(KeyError):
                functions[name](less)
