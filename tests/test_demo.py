"""The demo is what it says it is: all kinds, not trivial, small files; the real thing loads."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import write_config
from wslabel import pipeline
from wslabel.project.loading import load
from wslabel.project.project import Project
from wslabel.sources.generated import GeneratedConfig
from wslabel.sources.openimages import OpenImagesConfig
from wslabel.stages.evaluate import EvaluateResult

CONFIGS = Path(__file__).parents[1] / "configs"


def test_its_files_are_small_and_its_sections_many() -> None:
    demo = load(CONFIGS / "demo.yaml")
    assert isinstance(demo.images, GeneratedConfig)
    assert demo.images.count >= 600
    assert len(demo.labeling_functions) >= 8
    kinds = {function.kind for function in demo.labeling_functions}
    assert kinds == {"color", "category", "similarity", "pattern", "python"}
    checkpoints = [*CONFIGS.glob("demo/*.safetensors"), CONFIGS / "demo" / "words.bin"]
    assert len(checkpoints) == 3
    assert sum(path.stat().st_size for path in checkpoints) <= 4 * 2**20


def test_the_real_thing_is_the_same_project_with_real_models(tmp_path: Path) -> None:
    path = shutil.copy(CONFIGS / "openimages-sea-jungle.yaml", tmp_path)
    (tmp_path / "cc.en.300.bin").write_bytes(b"to be fetched first, as the file says")
    real = load(path)
    assert isinstance(real, Project)
    assert isinstance(real.images, OpenImagesConfig)
    models = {name: f.weights for name, f in real.features.items() if hasattr(f, "weights")}
    assert "DEFAULT" in models.values()
    assert set(real.classes) == {"jungle", "sea"}


@pytest.mark.usefixtures("cluster")
def test_it_is_not_trivial_and_the_label_model_earns_its_place(tmp_path: Path) -> None:
    config: dict[str, Any] = yaml.safe_load((CONFIGS / "demo.yaml").read_text())
    (tmp_path / "demo").symlink_to(CONFIGS / "demo")
    config |= {"workspace": str(tmp_path / "ws")}
    config["images"] |= {"path": str(tmp_path / "images"), "count": 240}
    # The tutorial's small network with its augmentations, in place of the linear one.
    config["training"] = {"network": "cnn", "feature": "thumbnail", "epochs": 1, "batch_size": 32}
    config["training"]["augment"] = {"vertical_flip": True, "rotation": 36, "zoom": 0.2}
    config["training"]["preprocess"] = {"resize": 64, "crop": 64}
    demo = load(write_config(tmp_path / "demo.yaml", config))
    (evaluated,) = [r for r in pipeline.run(demo) if isinstance(r, EvaluateResult)]
    evaluation = evaluated.evaluation
    truths = evaluation.num_truths
    assert 0.8 * 240 < truths < 240  # some scenes are neither
    shares = {score.name: (score.correct or 0) / truths for score in evaluation.functions}
    assert max(shares.values()) <= 0.90

    def right(kind: str) -> float:
        splits = evaluation.labels[kind].values()
        return sum(split.accuracy * split.num_images for split in splits) / truths

    assert right("majority_label") < 0.97
    assert right("label") > max(shares.values())
    for variant in ("original", "soft", "hard"):
        num_labeled = evaluation.labels["label"]["test"].num_images
        assert evaluation.networks[variant].num_images == num_labeled
