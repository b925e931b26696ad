"""Two locks: what runs, and that with the tools of developers; both by hash."""

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"].keys() - {"az", "gs"}  # clouds that no test reaches
RUNS, DEVELOPS = "requirements.lock", "requirements-dev.lock"


def locked(name: str) -> dict[str, set[str]]:
    """The versions of a lock by package; a version of Python may have one of its own."""
    versions: dict[str, set[str]] = {}
    found = re.findall(r"^([\w.-]+)==([^ ;\\]+)", (ROOT / name).read_text(), re.MULTILINE)
    for package, version in found:
        versions.setdefault(canonicalize_name(package), set()).add(version)
    return versions


def wanted(*extras: str) -> list[Requirement]:
    """The requirements of the package with some extras."""
    lines = list(PROJECT["dependencies"])
    for extra in extras:
        lines += PROJECT["optional-dependencies"][extra]
    return [found for line in lines if (found := Requirement(line)).name != "wslabel"]


@pytest.mark.parametrize("name", [RUNS, DEVELOPS])
def test_every_package_has_hashes(name: str) -> None:
    blocks = re.split(r"^(?=\S)", (ROOT / name).read_text(), flags=re.MULTILINE)[1:]
    assert {canonicalize_name(block.partition("==")[0]) for block in blocks} == set(locked(name))
    assert not [block.split()[0] for block in blocks if "--hash=sha256:" not in block]


def test_both_have_the_same_versions() -> None:
    developing = locked(DEVELOPS)
    assert {name: developing.get(name) for name in locked(RUNS)} == locked(RUNS)


@pytest.mark.parametrize(
    ("name", "extras"),
    [(RUNS, ["cluster"]), (DEVELOPS, [*EXTRAS])],
)
def test_a_lock_has_what_the_project_asks_for(name: str, extras: list[str]) -> None:
    versions = locked(name)
    for requirement in wanted(*extras):
        for version in versions[canonicalize_name(requirement.name)]:
            assert requirement.specifier.contains(version), requirement


def test_what_runs_holds_no_tool_and_no_extra() -> None:
    needed = {canonicalize_name(requirement.name) for requirement in wanted("cluster")}
    extras = wanted(*PROJECT["optional-dependencies"])
    unneeded = {canonicalize_name(extra.name) for extra in extras} - needed
    assert {"moto", "wandb", "pytest", "mlflow-skinny"} <= unneeded
    assert not (unneeded | {"flask", "docker"}) & locked(RUNS).keys()


@pytest.mark.parametrize(("target", "name"), [("install", RUNS), ("setup", DEVELOPS)])
def test_make_installs_by_hash_and_nothing_beside(target: str, name: str) -> None:
    words = ["make", "--dry-run", "--always-make", target]
    said = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    installs = [line for line in said.splitlines() if re.search(r"pip (install|sync)", line)]
    for line in installs:
        assert "--require-hashes" in line or "--no-deps" in line
    assert [line for line in installs if line.endswith(f" {name}")]
    other = ({RUNS, DEVELOPS} - {name}).pop()
    assert not re.search(rf"(?<![\w-]){other}", said)
