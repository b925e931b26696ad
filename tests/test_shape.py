"""The shape of the house: one door per outside library, no hidden imports, nothing too long."""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted([*(ROOT / "wslabel").rglob("*.py"), *(ROOT / "jobs").glob("*.py")])
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))
DOORS = {
    "open_clip": {"features/clip_model.py"},
    "timm": {"networks/zoo.py"},
    "torchvision": {"networks/zoo.py", "training/mixup.py"},
    "fasttext": set(),
    "snorkel": {"label_model/snorkel_fit.py"},
    "ray.data": {"engine/actor_pool.py"},
    "ray.tune": {"training/tuner.py"},
    "optuna": {"training/draws.py"},
    "ray.train": {"training/trainer.py"},
    "tensorboardX": {"training/trackers.py"},
    "mlflow": {"training/trackers.py"},
    "wandb": {"training/trackers.py"},
    "datasets": {"sources/huggingface.py"},
    "aiohttp": {"sources/web.py"},
    "fsspec": {"sources/fetch.py", "sources/stream.py"},
    "s3fs": {"sources/fetch.py"},
    "sklearn": {"training/linear_probe.py"},
    "pandas": {"api.py"},
    "polars": {"api.py"},
    "botocore": {"storage/s3.py"},
    "jinja2": {"report/page.py"},
    "yaml": {"config/yaml_file.py"},
    "typer": {"cli.py"},
}
LONGEST_FILE, LONGEST_FUNCTION = 400, 50
LARGEST_FOLDER = 0.2
"""Share of the lines of the library that one folder may have."""

ALLOWED = {
    ("wslabel/__init__.py", "__getattr__"),
    ("wslabel/__main__.py", "_run"),
    ("wslabel/api.py", "analyze"),
    ("wslabel/api.py", "next_images"),
    ("wslabel/api.py", "read_table"),
    ("wslabel/cli.py", "compare"),
    ("wslabel/cli.py", "self_train"),
    ("wslabel/cli.py", "sweep"),
    ("wslabel/engine/execute.py", "_on_ray"),
    ("wslabel/engine/execute.py", "connect"),
    ("wslabel/engine/execute.py", "disconnect"),
    ("wslabel/engine/execute.py", "execute_split"),
    ("wslabel/engine/execute.py", "is_connected"),
    ("wslabel/engine/execute.py", "run_once"),
    ("wslabel/features/classifier.py", "default_weights"),
    ("wslabel/features/classifier.py", "describe"),
    ("wslabel/features/classifier.py", "load"),
    ("wslabel/features/clip.py", "default_weights"),
    ("wslabel/features/clip.py", "describe"),
    ("wslabel/features/clip.py", "embed_texts"),
    ("wslabel/features/clip.py", "load"),
    ("wslabel/features/thumbnail.py", "compute"),
    ("wslabel/label_model/snorkel.py", "fit"),
    ("wslabel/networks/factory.py", "__call__"),
    ("wslabel/pipeline.py", "_evaluate"),
    ("wslabel/pipeline.py", "_featurize"),
    ("wslabel/pipeline.py", "_ingest"),
    ("wslabel/pipeline.py", "_label"),
    ("wslabel/pipeline.py", "_predict"),
    ("wslabel/pipeline.py", "preflight"),
    ("wslabel/pipeline.py", "_pretrain"),
    ("wslabel/pipeline.py", "_report"),
    ("wslabel/pipeline.py", "_train"),
    ("wslabel/pipeline.py", "_vote"),
    ("wslabel/pipeline.py", "export"),
    ("wslabel/pipeline.py", "predict_images"),
    ("wslabel/sources/fetch.py", "_objects"),
    ("wslabel/sources/fetch.py", "_web"),
    ("wslabel/sources/huggingface.py", "_open"),
    ("wslabel/sources/stream.py", "__init__"),
    ("wslabel/stages/featurize/precision.py", "_key"),
    ("wslabel/stages/featurize/precision.py", "look_up"),
    ("wslabel/stages/featurize/precision.py", "measure"),
    ("wslabel/stages/featurize/prepare.py", "_resizer"),
    ("wslabel/stages/train/launch.py", "_train_in_workers"),
    ("wslabel/stages/train/runs.py", "_mix"),
    ("wslabel/training/draws.py", "_by_optuna"),
    ("wslabel/training/draws.py", "_distribution"),
    ("wslabel/training/normalization.py", "synced"),
    ("wslabel/training/trackers.py", "tell_mlflow"),
    ("wslabel/training/trackers.py", "tell_wandb"),
    ("wslabel/workspace/functions.py", "_embedded_example"),
}
"""Functions that import something: what is heavy, or an extra, and not always needed."""

BY_NAME = {"wslabel/labeling/user_code.py"}
"""Files that import by a computed name: the user's own functions."""

OF_THE_WHOLE = {"benchmarks", "docs", "faults", "fuzz", "hostile", "kill", "old_workspace", "soak"}
"""Folders of tests of more than one file."""

OF_SEVERAL = {"report/test_browser.py", "stages/featurize/test_unreached.py"}
"""Tests of several files that lie in a room: a page in a browser, images nobody answers for."""


def own(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def hidden_imports(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Find the functions that import something, and the lines in which they do."""
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for node in ast.walk(function):
                if isinstance(node, ast.Import | ast.ImportFrom):
                    yield function.name, node.lineno


@pytest.mark.parametrize("library", DOORS)
def test_a_library_has_one_door(library: str) -> None:
    doors = set()
    for path in FILES:
        names = imports(ast.parse(path.read_text()))
        if any(name == library or name.startswith(f"{library}.") for name in names):
            doors.add(path.relative_to(ROOT / "wslabel").as_posix())
    assert doors == DOORS[library]


@pytest.mark.parametrize("path", FILES, ids=own)
def test_a_file_fits_the_eye(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), "a file begins with what it is for"
    assert len(path.read_text().splitlines()) <= LONGEST_FILE
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < LONGEST_FUNCTION, node.name


def test_imports_stand_at_the_top_but_for_those_that_are_listed_here() -> None:
    hidden = set()
    for path in FILES:
        lines = path.read_text().splitlines()
        for function, line in hidden_imports(ast.parse(path.read_text())):
            hidden.add((own(path), function))
            _, _, reason = lines[line - 1].partition("# noqa: PLC0415 - ")
            assert reason, f"{own(path)}: {function} does not say why it imports"
    assert hidden == ALLOWED


def test_nothing_is_imported_by_a_computed_name_but_what_users_wrote() -> None:
    words = ("import_module", "__import__", "spec_from_file_location")
    assert {own(path) for path in FILES if any(w in path.read_text() for w in words)} == BY_NAME


def test_no_folder_is_a_drawer() -> None:
    lines: Counter[str] = Counter()
    for path in FILES:
        folder, *rest = path.relative_to(ROOT).parts[1:]
        lines[folder if rest else "."] += len(path.read_text().splitlines())
    largest, count = lines.most_common(1)[0]
    assert count <= LARGEST_FOLDER * lines.total(), f"{largest}: {count} of {lines.total()} lines"


@pytest.mark.parametrize("path", TESTS, ids=own)
def test_a_test_lies_where_lies_what_it_tests(path: Path) -> None:
    place = path.relative_to(ROOT / "tests")
    if place.parts[0] in OF_THE_WHOLE or len(place.parts) == 1 or place.as_posix() in OF_SEVERAL:
        return
    tested = ROOT / "wslabel" / place.parent / place.name.removeprefix("test_")
    assert tested.is_file() or tested.with_suffix("").is_dir()
