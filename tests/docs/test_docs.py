"""What the documentation says is true: examples run, links lead somewhere, keys are all there."""

import re
import shutil
import types
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest
import yaml

from wslabel.config.sweep import Sweep
from wslabel.project.project import Project
from wslabel.project.reference import described, reference

ROOT = Path(__file__).parents[2]
SECURITY = ROOT / "SECURITY.md"
PAGES = [ROOT / "README.md", SECURITY, *sorted((ROOT / "docs").glob("*.md"))]
LOG = "log.md"
"""The log of experiments: what was true on its day."""


def blocks(page: Path, language: str) -> list[str]:
    found = re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    return [str(block) for block in found]


def test_the_readme_is_one_page() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


def test_the_page_on_security_is_short_and_names_tests_that_are_there() -> None:
    text = SECURITY.read_text()
    assert len(text.splitlines()) <= 120
    named = re.findall(r"`(tests/[^`]*)`", text)
    assert named
    assert not [name for name in named if not (ROOT / name).exists()]


def test_every_key_is_described_as_the_settings_are_now() -> None:
    assert (ROOT / "docs" / "configuration.md").read_text() == reference(), "run make docs"


@pytest.mark.parametrize("section", [Project, Sweep])
def test_every_field_of_a_section_has_a_description(section: Any) -> None:
    keys = {field.alias or name for name, field in section.model_fields.items()}
    assert keys <= set(described(section))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        linked = (page.parent / file).resolve() if file else page
        assert linked.exists(), f"{page.name}: {target}"
        if anchor:
            assert anchor in anchors(linked), f"{page.name}: {target}"


def anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


def test_the_examples_of_the_python_api_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for block in blocks(ROOT / "docs" / "python-api.md", "python"):
        exec(compile(block, "docs/python-api.md", "exec"), names)
    assert names["votes"].num_rows == names["colors"].height == len(names["labels"]) == 60
    assert names["trial"].votes.shape == (60,)
    assert Path(names["page"]).is_file()


def test_the_examples_of_extending_are_whole_modules() -> None:
    for number, block in enumerate(blocks(ROOT / "docs" / "extending.md", "python")):
        module = types.ModuleType(f"example_{number}")
        exec(compile(block, "docs/extending.md", "exec"), vars(module))


def test_yaml_examples_are_keys_of_a_project_or_a_sweep() -> None:
    known = set(Project.model_fields) | set(Sweep.model_fields)
    for page in PAGES:
        if page.name == LOG:
            continue
        for block in blocks(page, "yaml"):
            values = yaml.safe_load(block)
            if isinstance(values, dict):
                assert set(values) <= known, f"{page.name}: {sorted(set(values) - known)}"


@pytest.mark.long
def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    (tmp_path / "docs").mkdir()
    notebook = nbformat.read(ROOT / "docs" / "first-labels.ipynb", as_version=4)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    client = nbclient.NotebookClient(
        notebook, timeout=300, resources={"metadata": {"path": str(tmp_path / "docs")}}
    )
    client.execute()
    errors = [o for c in notebook.cells for o in c.get("outputs", []) if o.output_type == "error"]
    assert not errors
