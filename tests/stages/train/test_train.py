"""Networks are trained once each, on what their settings say, and truth stays locked away."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import safetensors.numpy

from tests.conftest import LINEAR, Learnable
from tests.stages.conftest import VARIANTS
from wslabel.errors import TrainingError
from wslabel.project.project import Project
from wslabel.stages.train import train
from wslabel.workspace.workspace import Workspace


def kept(project: Project, name: str) -> dict[str, np.ndarray]:
    workspace = Workspace(project)
    file = workspace.networks[name].file
    return safetensors.numpy.load(workspace.location.read(file).to_pybytes())


def test_every_variant_is_a_network_of_its_own(trained: Project) -> None:
    networks = Workspace(trained).networks
    assert list(networks) == ["original", "soft", "hard", *VARIANTS]
    folders = {name: network.folder for name, network in networks.items()}
    # A variant that changes nothing is the same network under another name.
    assert folders["same"] == folders["soft"]
    assert len(set(folders.values())) == len(networks) - 1
    careful, soft = (kept(trained, name)["linear.weight"] for name in ("careful", "soft"))
    assert not np.array_equal(careful, soft)
    assert train.missing_networks(Workspace(trained), list(networks.values())) == []
    result = train.run(Workspace(trained))
    assert (result.made, result.total) == (0, len(networks))


def test_weak_networks_are_the_same_bits_whatever_the_truth(
    learnable: Learnable, tmp_path: Path
) -> None:
    """Law 6: with the truth of train and test scrambled, only `original` learns another thing."""
    weak = {"variants": VARIANTS, "validate_on": "weak", "patience": 2, "epochs": 2}
    networks = []
    for name in ("honest", "scrambled"):
        shutil.copytree(learnable.folder / "ws", tmp_path / name)
        for path in (tmp_path / name).glob("models/*"):
            shutil.rmtree(path)
        project = learnable.load(name=name, workspace=str(tmp_path / name), training=LINEAR | weak)
        if name == "scrambled":
            scramble(tmp_path / name)
        train.run(Workspace(project))
        networks.append({n: kept(project, n) for n in ("original", "soft", "hard", *VARIANTS)})
    honest, scrambled = networks
    for name, tensors in honest.items():
        same = all(np.array_equal(scrambled[name][key], value) for key, value in tensors.items())
        assert same == (name != "original"), name


def scramble(workspace: Path) -> None:
    """Exchange the truth of train and test images, validation's too."""
    other = {"jungle": "sea", "sea": "jungle"}
    for path in (workspace / "images").glob("*.parquet"):
        table = pa.parquet.read_table(path)
        truth = [other[t] if i % 3 else t for i, t in enumerate(table.column("truth").to_pylist())]
        index = table.schema.get_field_index("truth")
        pa.parquet.write_table(table.set_column(index, "truth", pa.array(truth)), path)


def test_two_workers_make_the_network_of_one_and_say_once_what_none_can_learn(
    learnable: Learnable,
) -> None:
    settings = LINEAR | {"labels": "soft", "validate_on": "weak", "seed": 5}
    alone = learnable.load(name="alone", training=settings)
    train.run(Workspace(alone))
    one = kept(alone, "soft")
    folder = learnable.folder / "ws" / Workspace(alone).networks["soft"].folder
    shutil.move(folder, learnable.folder / "alone")
    nothing = {"variants": {"none": {"labels": "soft", "confidence_threshold": 1.0}}}
    both = learnable.load(name="both", training=settings | nothing | {"workers": [1, 2]})
    with pytest.raises(TrainingError, match=r"^none: there is no image to learn from; none of its"):
        train.run(Workspace(both))
    two = kept(both, "soft")
    assert all(np.allclose(two[name], one[name], atol=1e-5) for name in one)
    workspace = Workspace(both)
    assert not workspace.location.exists(workspace.networks["none"].file)


@pytest.mark.long
def test_files_that_cannot_be_kept_end_a_group_with_a_sentence(learnable: Learnable) -> None:
    """The first worker meets it alone; the other does not wait, and nothing is tried again."""
    settings = LINEAR | {"labels": "soft", "seed": 6, "workers": 2}
    workspace = Workspace(learnable.load(name="kept", training=settings))
    folder = learnable.folder / "ws" / workspace.networks["soft"].folder
    folder.mkdir(parents=True)
    (folder / "checkpoints").write_text("a file where a folder should be")
    with pytest.raises(TrainingError, match=r"^soft: its files cannot be kept: .*checkpoints"):
        train.run(workspace)
