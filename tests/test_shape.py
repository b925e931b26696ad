"""The shape of the house: one door per outside library, no hidden imports, nothing too long."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted([*(ROOT / "wslabel").rglob("*.py"), *(ROOT / "jobs").glob("*.py")])
DOORS = {
    "open_clip": {"features/clip.py"},
    "timm": {"features/classifier.py"},
    "torchvision": {"features/classifier.py", "training/mixing.py"},
    "fasttext": {"labeling/words.py"},
    "snorkel": {"label_model/snorkel.py"},
    "ray.data": {"engine/run.py"},
    "ray.tune": {"training/tuner.py"},
    "optuna": set(),
    "ray.train": {"training/trainer.py"},
    "tensorboardX": {"training/records.py"},
    "botocore": {"storage/location.py"},
    "yaml": {"config.py"},
    "typer": {"cli.py"},
}
LONGEST_FILE, LONGEST_FUNCTION = 410, 50


def imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("library", DOORS)
def test_a_library_has_one_door(library: str) -> None:
    found = set()
    for path in FILES:
        names = imports(ast.parse(path.read_text()))
        if any(name == library or name.startswith(f"{library}.") for name in names):
            found.add(path.relative_to(ROOT / "wslabel").as_posix())
    assert found == DOORS[library]


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_a_file_fits_the_eye(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), "a file begins with what it is for"
    assert len(path.read_text().splitlines()) <= LONGEST_FILE
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            hidden = [n for n in ast.walk(node) if isinstance(n, ast.Import | ast.ImportFrom)]
            assert not hidden, f"{node.name} hides an import"
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < LONGEST_FUNCTION, node.name
