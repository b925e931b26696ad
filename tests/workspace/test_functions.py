"""Functions get their constants from the workspace, each computed once."""

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Networks, tiny_config
from tests.small import like, small_project, with_clip
from wslabel.errors import ConfigError
from wslabel.labeling.similarity import PromptsLF
from wslabel.project.project import Project
from wslabel.workspace.functions import Functions
from wslabel.workspace.workspace import Workspace

PROMPTS = {"sea": "the sea", "jungle": ["a forest", "trees"]}


def near(**changes: Any) -> dict[str, Any]:
    section = {"name": "near", "kind": "similarity", "feature": "clip", "prompts": PROMPTS}
    return section | changes


def voting(
    folder: Path, scenes: Path, networks: Networks, function: dict[str, Any], **sections: Any
) -> Project:
    functions = [*tiny_config(scenes)["labeling_functions"][:2], function]
    features = with_clip(networks)
    return small_project(
        folder, scenes, features=features, labeling_functions=functions, **sections
    )


def functions_of(project: Project) -> Functions:
    return Workspace(project).functions


def test_prompts_are_embedded_once_each(scenes: Path, tmp_path: Path, networks: Networks) -> None:
    first = functions_of(voting(tmp_path, scenes, networks, near()))
    prompts = sorted((tmp_path / "ws" / "constants").glob("prompt-*.json"))
    assert len(prompts) == 3
    times = [prompt.stat().st_mtime_ns for prompt in prompts]
    more = PROMPTS | {"sea": ["the sea", "a beach"]}
    second = functions_of(voting(tmp_path, scenes, networks, near(prompts=more)))
    assert [prompt.stat().st_mtime_ns for prompt in prompts] == times
    assert len(list((tmp_path / "ws" / "constants").glob("prompt-*.json"))) == 4
    old, new = first.applier.functions[2], second.applier.functions[2]
    assert isinstance(old, PromptsLF)
    assert isinstance(new, PromptsLF)
    assert old.classes_P.tolist() == [1, 0, 0]
    assert new.classes_P.tolist() == [1, 1, 0, 0]
    assert new.vectors_PD[[0, 2, 3]].tolist() == old.vectors_PD.tolist()


def test_the_identity_is_of_all_that_decides_votes(
    scenes: Path, tmp_path: Path, networks: Networks
) -> None:
    plain = functions_of(voting(tmp_path, scenes, networks, near())).identity
    assert functions_of(voting(tmp_path, scenes, networks, near())).identity == plain
    engine = {"engine": {"fetch_threads": 3}}
    assert functions_of(voting(tmp_path, scenes, networks, near(), **engine)).identity == plain
    others = [
        voting(tmp_path, scenes, networks, near(margin=0.1)),
        voting(tmp_path, scenes, networks, near(name="far")),
        voting(tmp_path, scenes, networks, near(), classes=["sea", "jungle"]),
    ]
    identities = {functions_of(project).identity for project in others}
    assert len(identities | {plain}) == 4


def test_only_modules_of_the_users_own_are_sent_to_workers(
    scenes: Path, tmp_path: Path, networks: Networks
) -> None:
    assert functions_of(voting(tmp_path, scenes, networks, near())).modules == ()
    (tmp_path / "mine.py").write_text("def vote(batch):\n    return batch['color_mean_red'] * 0\n")
    own = {"name": "own", "kind": "python", "function": "mine:vote", "features": ["color"]}
    functions = functions_of(voting(tmp_path, scenes, networks, own))
    (module,) = functions.modules
    assert module.__name__.startswith("wslabel_user_mine_")
    assert "color.mean_red" in functions.applier.reads


def test_an_example_that_is_no_image_names_its_function(
    photos: Path, tmp_path: Path, networks: Networks
) -> None:
    (photos / "coast" / "c00.jpg").write_bytes(b"no image")
    project = voting(tmp_path, photos, networks, like(photos, present_above=0.5))
    with pytest.raises(
        ConfigError, match=r"^labeling_functions \(like\)\.image: '.*c00\.jpg' is no"
    ):
        functions_of(project)
