"""A feature's table is named by what decides its values, and by nothing else."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.conftest import Networks
from tests.small import small_project
from wslabel.config.base import S3
from wslabel.config.preprocess import Preprocess
from wslabel.errors import WeightsError
from wslabel.workspace.extractors import Extractor, input_kind
from wslabel.workspace.workspace import Workspace


def net_of(folder: Path, scenes: Path, networks: Networks, **changes: Any) -> Extractor:
    categories = {"file": str(networks.categories)}
    usual = {"categories": categories, "top_k": 2, "precision": "float32"}
    net = networks.net(**(usual | changes))
    features = {"net": net, "color": None, "thumbnail": {"size": 32}}
    project = small_project(folder, scenes, features=features, labeling_functions=[])
    return Workspace(project).extractors["net"]


def test_what_a_network_takes_and_gives_is_found_out_once(
    scenes: Path, tmp_path: Path, networks: Networks
) -> None:
    net = net_of(tmp_path, scenes, networks)
    assert net.info is not None
    assert len(net.info.categories) == 5
    assert net.columns.names == ["category_ids", "category_probabilities"]
    assert net.facts.categories == net.info.categories
    assert net.facts.columns == ("category_ids", "category_probabilities")
    card = tmp_path / "ws" / "constants" / f"card-{net.identity}.json"
    assert card.is_file()
    before = card.stat().st_mtime_ns
    assert net_of(tmp_path, scenes, networks) == net
    assert card.stat().st_mtime_ns == before


def test_only_what_decides_values_is_in_the_name(
    scenes: Path, tmp_path: Path, networks: Networks
) -> None:
    net = net_of(tmp_path, scenes, networks)
    copied = shutil.copy(networks.classifier, tmp_path / "copied.pth")
    assert net_of(tmp_path, scenes, networks, batch_size=7).folder == net.folder
    assert net_of(tmp_path, scenes, networks, weights=str(copied)).folder == net.folder
    rough = net_of(tmp_path, scenes, networks, precision="bfloat16")
    assert rough.identity == net.identity
    assert rough.folder != net.folder
    decisive: list[dict[str, Any]] = [
        {"top_k": 3},
        {"embedding": True},
        {"preprocess": {"resize": 34, "crop": 32}},
        {"categories": ["a", "b", "c", "d", "e"]},
    ]
    for changes in decisive:
        assert net_of(tmp_path, scenes, networks, **changes).identity != net.identity


def test_a_precision_stays_open_until_it_is_measured(
    scenes: Path, tmp_path: Path, networks: Networks
) -> None:
    net = net_of(tmp_path, scenes, networks, precision="auto")
    assert net.is_open
    assert not net.with_precision("float16").is_open
    constants = tmp_path / "ws" / "constants"
    (constants / f"precision-{net.identity}.json").write_text('"bfloat16"')
    measured = net_of(tmp_path, scenes, networks, precision="auto")
    assert (measured.is_open, measured.precision) == (False, "bfloat16")


def test_features_without_a_network_are_never_open(scenes: Path, tmp_path: Path) -> None:
    features = {"color": None, "thumbnail": {"size": 32}, "large": {"kind": "thumbnail"}}
    workspace = Workspace(small_project(tmp_path, scenes, features=features))
    for extractor in workspace.extractors.values():
        assert not extractor.is_network
        assert not extractor.is_open
    small, large = workspace.extractors["thumbnail"], workspace.extractors["large"]
    assert small.identity != large.identity
    assert small.folder.startswith("features/thumbnail-")


def test_a_worker_with_other_weights_than_the_driver_is_refused(
    scenes: Path, tmp_path: Path, networks: Networks
) -> None:
    weights = tmp_path / "net.pth"
    shutil.copy(networks.classifier, weights)
    net = net_of(tmp_path, scenes, networks, weights=str(weights))
    assert net.load(S3()).outputs is not None
    state = torch.load(weights, weights_only=True)
    torch.save({name: tensor + 1 for name, tensor in state.items()}, weights)
    with pytest.raises(WeightsError, match=r"net\.pth: differs from the file that the driver saw"):
        net.load(S3())


def test_normalizing_is_left_to_the_network_so_that_networks_share_their_inputs() -> None:
    one = Preprocess(resize=20, crop=16, mean=(0.1, 0.2, 0.3))
    other = one.model_copy(update={"std": (1.0, 1.0, 1.0)})
    assert input_kind(one) == input_kind(other)
    assert input_kind(one) != input_kind(one.model_copy(update={"crop": 15}))
