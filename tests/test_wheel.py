"""What is installed from a wheel runs the demo's stages, outside of the repository."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[1]


def call(*words: object, folder: Path, **environment: str) -> str:
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | environment
    done = subprocess.run(
        list(map(str, words)), cwd=folder, env=env, text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter that has the wheel, and the packages of this one, but not this tree."""
    folder = tmp_path_factory.mktemp("wheel")
    ignored = shutil.ignore_patterns(".git", ".venv", "workspaces", "*cache*")
    shutil.copytree(ROOT, folder / "tree", ignore=ignored)
    call(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder / "dist",
         "tree", folder=folder)  # fmt: skip
    call(sys.executable, "-m", "venv", folder / "venv", folder=folder)
    python = folder / "venv" / "bin" / "python"
    packages = call(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))",
                    folder=folder).strip()  # fmt: skip
    (wheel,) = (folder / "dist").glob("*.whl")
    call(python, "-m", "pip", "install", "--quiet", "--no-deps", wheel, folder=folder)
    # Files `.pth` in a folder that a `.pth` names are not read: so not the editable tree either.
    Path(packages, "packages.pth").write_text(sysconfig.get_path("purelib"))
    return python


def test_the_wheel_runs_the_demo_from_images_to_the_page(python: Path, tmp_path: Path) -> None:
    where = call(python, "-c", "import wslabel; print(wslabel.__file__)", folder=tmp_path)
    assert ROOT not in Path(where.strip()).parents
    shutil.copytree(ROOT / "configs" / "demo", tmp_path / "demo")
    config = yaml.safe_load((ROOT / "configs" / "demo.yaml").read_text())
    config |= {"workspace": "workspace"}
    config["images"] |= {"path": "images", "count": 64}
    (tmp_path / "demo.yaml").write_text(yaml.safe_dump(config))
    command = python.with_name("wslabel")
    said = call(command, "run", "demo.yaml", folder=tmp_path, WSLABEL_QUIET="1")
    for stage in ("ingest", "featurize", "vote", "label", "train", "predict", "evaluate", "report"):
        assert f"{stage} " in said
    assert len(list((tmp_path / "workspace" / "reports").glob("report-*.html"))) == 1
    again = call(python, "-m", "wslabel", "run", "demo.yaml", folder=tmp_path)
    assert "nothing to do: all tables are there; Ray was not started" in again


def test_the_wheel_says_that_it_is_typed(python: Path) -> None:
    code = "from importlib.resources import files; print(files('wslabel').joinpath('py.typed'))"
    assert Path(call(python, "-c", code, folder=python.parent).strip()).is_file()
