"""A project file becomes a Project or one plain sentence per problem."""

import copy
import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.projects import FUNCTIONS, full, write
from wslabel.errors import ConfigError
from wslabel.label_model.snorkel import SnorkelConfig
from wslabel.project.loading import load, register
from wslabel.project.project import Project


def test_a_full_config_loads(home: Path) -> None:
    project = load(write(home, full()))
    assert isinstance(project, Project)
    assert [function.name for function in project.labeling_functions] == list(FUNCTIONS)
    assert project.features["color"].kind == "color"
    assert project.images.split.train == 0.5
    assert project.label_model.class_balance == [0.4, 0.6]


def test_a_small_config_has_the_defaults(home: Path) -> None:
    config = {
        "workspace": "ws",
        "classes": ["a", "b"],
        "images": {"source": "folder", "path": "photos"},
    }
    project = load(write(home, config))
    assert project.features == {}
    assert project.label_model == SnorkelConfig()
    assert project.training is None


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.floats(),
    st.sampled_from(
        ["", "sea", "color", "net", "clip", "table", "folder", "s3://b/x", "../..", "\0"]
    ),
    st.text(max_size=5),
    st.lists(st.one_of(st.integers(), st.sampled_from(["sea", "soft"])), max_size=3),
    st.dictionaries(
        st.sampled_from(["kind", "sea", "file", "size"]), st.text(max_size=3), max_size=2
    ),
)
KEYS = st.one_of(
    st.sampled_from(
        ["kind", "classes", "feature", "weights", "prompts", "color", "images", "thumbnail"]
    ),
    st.text(string.printable, max_size=4),
    st.integers(-1, 2),
    st.none(),
)


def places(node: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place of a config, the deepest last."""
    items = node.items() if isinstance(node, dict) else enumerate(node)  # type: ignore[arg-type]
    inside = []
    for key, value in items:
        inside.append((*path, key))
        if isinstance(value, dict | list):
            inside += places(value, (*path, key))
    return inside


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_changed_config_loads_or_is_refused(home: Path, data: st.DataObject) -> None:
    config = copy.deepcopy(full())
    for _ in range(data.draw(st.integers(1, 2))):
        path = data.draw(st.sampled_from(places(config)))
        place: Any = config
        for key in path[:-1]:
            place = place[key]
        action = data.draw(st.sampled_from(["set", "drop", "add"]))
        if action == "drop":
            del place[path[-1]]
        elif action == "add" and isinstance(place, dict):
            place[data.draw(KEYS)] = data.draw(VALUES)
        else:
            place[path[-1]] = data.draw(VALUES)
        if not config:
            break
    path_ = write(home, config)
    sentence = f"{path_}: "
    try:
        assert isinstance(load(path_), Project)
    except ConfigError as error:
        sentence = str(error)
    assert sentence.startswith(f"{path_}: ")


@settings(deadline=None, max_examples=150)
@given(text=st.text("abc: -[]{}'\"\n\t#&*!?|>%@`,0123456789.~<=", max_size=40))
def test_any_text_is_refused(home: Path, text: str) -> None:
    path = home / "any.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError):
        load(path)


def test_a_missing_file_names_its_neighbor(home: Path) -> None:
    write(home, full())
    with pytest.raises(ConfigError, match="did you mean 'project\\.yaml'"):
        load(home / "projekt.yaml")


def test_what_is_no_kind_of_anything_is_not_registered() -> None:
    with pytest.raises(ConfigError, match=r"^Project: expected a kind of LFConfig, FeatureConfig"):
        register(Project)
