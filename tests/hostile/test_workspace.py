"""What others plant in a workspace or in the cache is never run: it is refused, in one sentence."""

import json
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.hostile.trap import Trap
from tests.old_workspace.make import extract, lay_out
from wslabel import pipeline
from wslabel.errors import WslabelError
from wslabel.project.loading import load
from wslabel.project.project import Project
from wslabel.storage.files import cache_folder
from wslabel.workspace.explain import explain
from wslabel.workspace.status import status
from wslabel.workspace.workspace import Workspace

MARK = "ran"
LAYOUT = {"..": 1}
GARBAGE: dict[str, bytes] = {
    "nothing": b"",
    "text": b"<script>alert(1)</script>",
    "null": b"null",
    "a list": b"[1, 2, 3]",
    "other keys": b'{"vector": "../../etc/passwd", "preprocess": 3, "votes": [[]], "cosine": "x"}',
    "deep": b"[" * 100_000,
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A finished project, in a folder whose cache is its own."""
    monkeypatch.setenv("WSLABEL_CACHE", str(tmp_path / "cache"))
    folder = lay_out(tmp_path)
    extract("workspace.tar.gz", folder)
    return load(folder / "project.yaml")


def read_everything(project: Project) -> None:
    """Look at all that a finished workspace holds, and make anew what is made of it."""
    status(project)
    list(pipeline.run(project))
    (shard,) = Workspace(project).shards[:1]
    image = Workspace(project).images.read(f"{shard:05d}.parquet").column("image_id")[0].as_py()
    explain(Workspace(project), image)


def asking(project: Project) -> Iterator[Callable[[], object]]:
    yield lambda: status(project)
    yield lambda: list(pipeline.run(project))
    yield lambda: pipeline.run_stage(project, "evaluate")
    yield lambda: pipeline.run_stage(project, "report")
    yield lambda: pipeline.run_stage(project, "pretrain")


def test_a_planted_pickle_is_never_read(project: Project, tmp_path: Path) -> None:
    read_everything(project)  # fills the cache
    planted = pickle.dumps(Trap(tmp_path / MARK))
    root = Path(project.workspace)
    checkpoints = [path.parent / "checkpoints" / "00001-000000000.pt" for path in networks(root)]
    for path in [*files(root), *files(cache_folder()), *checkpoints]:
        path.write_bytes(planted)
    for name in ("tuner.pkl", "trainable.pkl", "searcher-state-1.pkl"):
        for folder in (root, root / "sweeps" / "0123456789ab"):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(planted)
    for ask in asking(project):
        with pytest.raises(Exception):  # noqa: B017, PT011 - whatever it is, nothing is run
            ask()
    assert not (tmp_path / MARK).exists()


def refusal(ask: Callable[[], object]) -> str | None:
    """Give the sentence in which something is refused; any other exception is a fault."""
    try:
        ask()
    except WslabelError as error:
        return str(error)
    return None


def files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


def networks(root: Path) -> list[Path]:
    return list(root.glob("models/*/network.safetensors"))


@pytest.mark.parametrize("name", GARBAGE)
def test_planted_json_is_refused_in_one_sentence(project: Project, name: str) -> None:
    root = Path(project.workspace)
    planted = sorted([*root.glob("constants/*.json"), *root.glob("reports/evaluation-*.json")])
    assert len(planted) > 12
    refused = set()
    for page in root.glob("reports/*.html"):
        page.unlink()  # so that it is made anew
    for path in planted:
        before = path.read_bytes()
        path.write_bytes(GARBAGE[name])
        sentences = [sentence for ask in asking(project) if (sentence := refusal(ask)) is not None]
        assert all(path.name in said and "\n" not in said for said in sentences), sentences
        if sentences:
            refused.add(path)
        path.write_bytes(before)
    assert len(refused) >= len(planted) - 2  # `store` and, of `null`, `probe` say nothing else


def test_planted_networks_are_refused_in_one_sentence(project: Project) -> None:
    root = Path(project.workspace)
    for path in root.glob("predictions/*/*"):
        path.unlink()
    for path in root.glob("reports/*"):
        path.unlink()
    for path in networks(root):
        path.write_bytes(b"planted")
    with pytest.raises(WslabelError, match=r"network\.safetensors: this file is not as wslabel"):
        list(pipeline.run(project))


def test_who_looks_at_a_project_runs_none_of_its_code(project: Project, tmp_path: Path) -> None:
    """The name of the votes hangs on the source of the functions alone."""
    own = Path(project.workspace).parent / "lfs.py"
    before = own.read_bytes()
    own.write_bytes(before + f"\nopen({str(tmp_path / MARK)!r}, 'w')\n".encode())
    tables = status(project)
    assert not (tmp_path / MARK).exists()
    (votes,) = (table for table in tables if table.table == "votes")
    assert votes.missing == 1  # since the code has changed
    own.write_bytes(before)
    assert all(table.missing == 0 for table in status(project))


def test_a_workspace_without_work_to_do_runs_no_code(project: Project, tmp_path: Path) -> None:
    code = f"open({str(tmp_path / MARK)!r}, 'w')"
    (Path(project.workspace).parent / "numpy.py").write_text(code)
    assert {result.made for result in pipeline.run(project)} == {0}
    assert not (tmp_path / MARK).exists()


def test_planted_log_entries_and_attempts_are_refused(project: Project) -> None:
    root = Path(project.workspace)
    for page in root.glob("reports/*.html"):
        page.unlink()
    (root / "logs").mkdir()
    (root / "logs" / "1.json").write_text(json.dumps({"stage": "x", "finished": "<b>", "made": 1}))
    with pytest.raises(WslabelError, match=r"logs/1\.json: is not as wslabel writes it"):
        pipeline.run_stage(project, "report")
