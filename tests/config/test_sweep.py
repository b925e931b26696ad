"""A sweep file says which keys are searched, or one sentence says what cannot be."""

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import write_config
from wslabel.config.sweep import is_cheap, load_sweep
from wslabel.errors import ConfigError

GRID = {"grid": [0.1, 0.2]}
SEARCH = {"training.label_smoothing": GRID}
PROJECT = {
    "workspace": "ws",
    "training": {"feature": "net"},
    "self_training": {"rounds": 2},
    "comparison": {"seeds": 3},
}


def sweep_file(folder: Path, **sections: Any) -> Path:
    write_config(folder / "p.yaml", PROJECT)
    return write_config(folder / "sweep.yaml", {"project": "p.yaml", "search": SEARCH} | sections)


def test_a_sweep_comes_with_its_project_but_for_what_repeats_networks(tmp_path: Path) -> None:
    sweep, project, raw = load_sweep(sweep_file(tmp_path))
    assert sweep.search["training.label_smoothing"].values == [0.1, 0.2]
    assert (sweep.method, sweep.metric) == ("grid", "accuracy")
    assert project == tmp_path / "p.yaml"
    assert raw == {"workspace": "ws", "training": {"feature": "net"}}


@pytest.mark.parametrize(
    ("way", "values", "ends"),
    [
        ({"choice": [1, 2]}, [1, 2], None),
        ({"uniform": [0, 0.5]}, None, (0.0, 0.5)),
        ({"log_uniform": [0.1, 10]}, None, (0.1, 10.0)),
        ({"integer": [8, 32]}, None, (8, 32)),
    ],
)
def test_a_key_has_values_or_a_range(
    tmp_path: Path, way: dict[str, Any], values: Any, ends: Any
) -> None:
    search = {"label_model.learning_rate": way}
    sweep, _, _ = load_sweep(sweep_file(tmp_path, search=search, method="random"))
    (dimension,) = sweep.search.values()
    assert (dimension.values, dimension.ends) == (values, ends)
    assert sweep.upstream == ["label_model.learning_rate"]


def test_what_reads_no_image_anew_is_cheap() -> None:
    assert is_cheap("labeling_functions.mean.margin")
    assert is_cheap("training.epochs")
    assert not is_cheap("features.thumbnail.size")


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown key": ({"serch": {}}, r"unknown key 'serch'; did you mean 'search'"),
    "nothing to search": ({"search": {}}, r"search: .* at least 1 item"),
    "no project": (
        {"project": "q.yaml"},
        r"there is no such project file; did you mean 'p.yaml'",
    ),
    "what all share": (
        {"search": {"images.seed": GRID}},
        r"'images.seed' cannot be searched: trials share images and cluster",
    ),
    "what a trial never looks at": (
        {"search": {"self_training.rounds": {"grid": [1, 2]}}},
        r"'self_training.rounds' cannot be searched: a trial trains one network, once",
    ),
    "where it runs": (
        {"search": {"training.workers": {"grid": [1, 2]}}},
        r"'training.workers' cannot be searched: it is the same for all trials; fix it",
    ),
    "what the metric says": (
        {"search": {"training.select_by": {"grid": ["loss", "accuracy"]}}},
        r"'training.select_by' cannot be searched: it is the sweep's metric",
    ),
    "features by range": (
        {"search": {"features.thumbnail.size": {"integer": [16, 64]}}, "method": "random"},
        r"a range would make features anew for each trial; write choice",
    ),
    "grid and draw": ({"method": "optuna"}, r"method optuna draws; write choice, not grid"),
    "draw and grid": (
        {"search": {"training.label_smoothing": {"uniform": [0, 0.5]}}},
        r"method grid needs a grid",
    ),
    "two ways": (
        {"search": {"training.label_smoothing": GRID | {"uniform": [0, 1]}}},
        r"search.training.label_smoothing: expected one of grid, choice, .*, found grid, uniform",
    ),
    "no way": (
        {"search": {"training.label_smoothing": {}}},
        r"search.training.label_smoothing: expected one of grid, choice, .*, found none",
    ),
    "no value": (
        {"search": {"training.label_smoothing": {"grid": []}}},
        r"search.training.label_smoothing: expected at least one value",
    ),
    "upside down": (
        {"search": {"training.learning_rate": {"uniform": [1, 0.1]}}, "method": "random"},
        r"expected two numbers, the lower one first, found \(1.0, 0.1\)",
    ),
    "no order of magnitude": (
        {"search": {"training.learning_rate": {"log_uniform": [0, 0.1]}}, "method": "random"},
        r"expected two numbers, the lower one first, found \(0.0, 0.1\)",
    ),
    "searched and fixed": (
        {"fixed": {"training.label_smoothing": 0.3}},
        r"fixed: 'training.label_smoothing' is searched",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_sweep_is_refused_plainly(tmp_path: Path, name: str) -> None:
    sections, message = WRONG[name]
    with pytest.raises(ConfigError, match=message):
        load_sweep(sweep_file(tmp_path, **sections))
