"""Who only asks waits for nothing: no torch and no Ray where there is no work for them."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import CNN, LINEAR, Learnable, Networks
from tests.small import like, made, on_embeddings
from wslabel import pipeline

HEAVY = {"torch", "ray", "torchvision", "timm", "open_clip", "snorkel", "s3fs", "sklearn"}
COMMAND = """
import atexit, sys
atexit.register(lambda: print(*sys.modules, file=sys.stderr))
from wslabel.cli import main
main()
"""
IMPORT = "import sys, wslabel; print(*sys.modules, file=sys.stderr)"
LOAD = """
import sys, wslabel
print(wslabel.load(sys.argv[1]).classes)
print(*sys.modules, file=sys.stderr)
"""


@pytest.fixture(scope="module")
def finished(learnable: Learnable) -> Path:
    """The file of a project of which everything is made, a network and its predictions too."""
    training = LINEAR | {"labels": "soft", "validate_on": "weak"}
    for _ in pipeline.run(learnable.load(name="finished", training=training)):
        pass
    return learnable.folder / "finished.yaml"


@pytest.fixture(scope="module")
def pretrained(learnable: Learnable) -> Path:
    """The file of a project whose network began from a pretrained and probed body."""
    pretraining = CNN | {"method": "rotation", "probe": "truth"}
    training = CNN | {"labels": "soft", "weights": "pretrained"}
    project = learnable.load(name="light", pretraining=pretraining, training=training)
    for _ in pipeline.run(project):
        pass
    return learnable.folder / "light.yaml"


def asked(program: str, *words: object) -> str:
    """Run a program in a fresh process that must load nothing heavy; give what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
    )
    *said, modules = done.stderr.splitlines()
    assert (done.returncode, said) == (0, [])
    loaded = {name.partition(".")[0] for name in modules.split()}
    assert "wslabel" in loaded
    assert loaded.isdisjoint(HEAVY), loaded & HEAVY
    return done.stdout


def test_importing_the_library_is_light() -> None:
    assert asked(IMPORT) == ""


def test_loading_a_project_is_light(finished: Path) -> None:
    assert asked(LOAD, finished) == "['jungle', 'sea']\n"


def test_help_is_light() -> None:
    assert "status" in asked(COMMAND, "--help")


def test_asking_for_the_status_is_light(finished: Path) -> None:
    assert "predictions/soft" in asked(COMMAND, "status", finished)


def test_writing_a_project_file_is_light(scenes: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    assert asked(COMMAND, "init", scenes, "--output", path).startswith(f"wrote {path}")


@pytest.mark.parametrize("form", [(), ("--json",), ("--only", "train"), ("--until", "predict")])
def test_a_run_without_work_is_light(finished: Path, form: tuple[str, ...]) -> None:
    assert asked(COMMAND, "run", finished, *form)


@pytest.mark.long
def test_what_is_pretrained_is_light_once_it_is_there(pretrained: Path) -> None:
    assert "pretrain" in asked(COMMAND, "run", pretrained)


def test_a_run_without_work_says_so(finished: Path) -> None:
    out = asked(COMMAND, "run", finished)
    assert "nothing to do: all tables are there; Ray was not started" in out


def test_explaining_an_image_is_light(finished: Path) -> None:
    assert "votes:" in asked(COMMAND, "explain", finished, "coast/c00.jpg")


def test_prompts_and_examples_that_are_embedded_already_are_light(
    networks: Networks, embedded: Path
) -> None:
    """Their vectors and thresholds are constants of the workspace."""
    prompts = {"sea": "the sea", "jungle": "a forest"}
    near = {"name": "near", "kind": "similarity", "feature": "clip", "prompts": prompts}
    example = like(embedded / "photos", present_above={"quantile": 0.7})
    made(on_embeddings(embedded, networks, [near, example]), until="label")
    assert "label " in asked(COMMAND, "run", embedded / "p.yaml", "--until", "label")
