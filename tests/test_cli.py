"""The command line: what each command prints, in tables and in JSON, and how it exits."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import tiny_config, write_config
from tests.storage.failing import fail
from wslabel import cli

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process; give its exit code and what it printed."""
    # The Ray cluster of the test session outlives a command.
    monkeypatch.setattr(cli, "disconnect", lambda: None)

    def command(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["wslabel", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return command


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_the_command_line_names_the_cluster(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "another")
    for command in ("run", "report", "compare", "self-train", "sweep"):
        code, _, err = run(command, "nowhere.yaml", "--address", f"{command}.example:6379")
        assert (code, os.environ["RAY_ADDRESS"]) == (2, f"{command}.example:6379"), err
    assert run("run", "nowhere.yaml")[0] == 2
    assert os.environ["RAY_ADDRESS"] == "sweep.example:6379"


@pytest.mark.usefixtures("cluster")
def test_every_command_speaks_to_people_and_to_programs(
    scenes: Path, tmp_path: Path, run: Run
) -> None:
    config = write_config(tmp_path / "p.yaml", tiny_config(scenes))
    code, out, _ = run("status", config)
    assert code == 0
    assert f"next: wslabel run {config}" in out
    code, out, _ = run("run", config, "--until", "vote")
    assert code == 0
    assert f"next: wslabel run {config}" in out
    code, out, _ = run("run", config)
    assert code == 0
    for part in ("label model", "majority vote", "mean", f"wslabel explain {config} IMAGE_ID"):
        assert part in out
    assert "the best labeling function alone: " in out
    code, out, _ = run("run", config)
    assert "nothing to do: all tables are there" in out

    code, out, _ = run("run", config, "--json")
    assert [line["stage"] for line in lines(out)][-2:] == ["evaluate", "report"]
    assert {line["made"] for line in lines(out)} == {0}
    code, out, _ = run("status", config, "--json")
    assert {line["missing"] for line in lines(out)} == {0}
    assert "next:" not in run("status", config)[1]
    code, out, _ = run("report", config, "--json")
    assert Path(lines(out)[0]["page"]).is_file()
    code, out, _ = run("explain", config, "coast/c00.jpg", "--json")
    assert lines(out)[0]["truth"] == "sea"
    code, out, _ = run("explain", config, "coast/c00.jpg")
    assert "votes:" in out
    assert ": \n" not in out  # nothing that has a name is left without a value


def test_a_project_file_is_written_once(scenes: Path, tmp_path: Path, run: Run) -> None:
    path = tmp_path / "mine.yaml"
    code, out, _ = run("init", scenes, "--output", path)
    assert (code, out) == (0, f"wrote {path}; next: wslabel run {path}\n")
    code, _, err = run("init", scenes, "--output", path)
    assert code == 2
    assert err == f"wslabel: {path}: there is such a file already; name another: --output\n"
    other = tmp_path / "other.yaml"
    code, out, _ = run("init", scenes, "--output", other, "--json")
    assert lines(out) == [{"project": str(other)}]


def test_errors_are_one_sentence_and_an_exit_code(scenes: Path, tmp_path: Path, run: Run) -> None:
    config = write_config(tmp_path / "p.yaml", tiny_config(scenes))
    code, _, err = run("run", tmp_path / "q.yaml")
    assert code == 2
    assert "did you mean 'p.yaml'" in err
    code, _, err = run("run", config, "--until", "lable")
    assert code == 2
    assert "there is no stage 'lable'; did you mean 'label'" in err
    code, _, err = run("explain", config, "coast/c00.jpg")
    assert code == 1
    assert err == f"wslabel: {tmp_path}/ws: no images yet; wslabel run ingests them\n"
    run("run", config, "--until", "ingest")
    code, _, err = run("report", config)
    assert code == 3
    assert "8 shards lack features" in err
    assert err.endswith(f"next: wslabel run {config}\n")
    assert "Traceback" not in err


@pytest.mark.usefixtures("cluster")
def test_storage_that_was_busy_is_work_for_the_next_run(
    scenes: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = write_config(tmp_path / "p.yaml", tiny_config(scenes))
    run("run", config, "--until", "vote")
    for where in ("/votes/", "/constants/", "/images"):  # in a step, and in the driver itself
        with monkeypatch.context() as patched:
            fail(patched, where)
            code, _, err = run("run", config)
        assert code == 3
        assert "SLOW_DOWN" in err
        assert err.endswith(f"next: wslabel run {config}\n")
    assert run("run", config)[0] == 0


@pytest.mark.usefixtures("cluster")
def test_a_full_disk_stops_a_job_at_its_first_shard_and_says_what_to_do(
    scenes: Path, tmp_path: Path, run: Run, mounted: Callable[..., Path]
) -> None:
    disk = mounted(tmp_path / "ws", "-t", "tmpfs", "-o", "size=96k", "tmpfs")
    features = {"thumbnail": {"size": 256}}
    config = write_config(
        tmp_path / "p.yaml", tiny_config(scenes, features=features, labeling_functions=[])
    )
    code, _, err = run("run", config)
    assert code == 1
    assert err.startswith(f"wslabel: {disk}/features/thumbnail-")
    assert "the disk is full; make room and run again" in err
    assert "Traceback" not in err
    subprocess.run(["mount", "-o", "remount,size=50m", str(disk)], check=True)
    assert run("run", config, "--until", "featurize")[0] == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("run", "--only", "vote", "--until", "label"), "--only and --until exclude one another"),
        (("export", "--kind", "csv"), "--kind is of a table's file; say which: --table labels"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    scenes: Path, tmp_path: Path, run: Run, words: tuple[str, ...], says: str
) -> None:
    config = write_config(tmp_path / "p.yaml", tiny_config(scenes))
    code, out, err = run(words[0], config, *words[1:])
    assert (code, out) == (2, "")
    assert err == f"wslabel: {says}\n"


@pytest.mark.parametrize(
    ("command", "reason"),
    [("compare", "name at least two networks"), ("self-train", "this section is missing")],
)
def test_an_experiment_that_cannot_be_is_refused_before_what_it_stands_on(
    scenes: Path, tmp_path: Path, run: Run, command: str, reason: str
) -> None:
    config = write_config(tmp_path / "p.yaml", tiny_config(scenes))
    code, _, error = run(command, config)
    assert (code, reason in error) == (2, True)
    assert not (tmp_path / "ws").exists()


def test_a_wrong_call_is_told_by_the_nearest_command(run: Run) -> None:
    code, _, err = run("rum")
    assert code == 2
    assert "run" in err
    code, out, _ = run("--help")
    assert code == 0
    for name in ("run", "status", "report", "explain", "init"):
        assert name in out


def test_the_module_is_the_command() -> None:
    words = [sys.executable, "-m", "wslabel", "--help"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert "self-train" in done.stdout


def test_a_shell_completes_commands() -> None:
    words = {"_WSLABEL_COMPLETE": "complete_bash", "COMP_WORDS": "wslabel st", "COMP_CWORD": "1"}
    program = Path(sys.executable).with_name("wslabel")
    done = subprocess.run([program], env=os.environ | words, capture_output=True, check=False)
    assert done.stdout.split() == [b"status"]


def test_the_module_imports_nothing_from_the_current_folder(tmp_path: Path) -> None:
    for module in ("traceback", "typing", "json", "functools", "pathlib", "yaml", "typer"):
        (tmp_path / f"{module}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    words = [sys.executable, "-m", "wslabel", "status", "nowhere.yaml"]
    done = subprocess.run(
        words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert not (tmp_path / "ran").exists()
    assert (done.returncode, done.stderr[:22]) == (2, "wslabel: nowhere.yaml:"), done.stderr
