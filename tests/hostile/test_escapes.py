"""A stranger plants escape sequences in every text there is; none reaches a screen, a log, a page.

Whatever a command prints is caught at the streams' own descriptors, whoever writes there.
"""

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.conftest import CNN, Networks, paint, tiny_config, write_config
from tests.hidden import EVIL, assert_shown
from tests.sources.web import Answers, serving
from wslabel import cli
from wslabel.storage import failures

Command = Callable[..., tuple[int, str]]

SEA, JUNGLE = f"sea {EVIL}", f"[/x] {EVIL}"
TITLE = f"{EVIL}\nwslabel: all is well"
VOTES = {"blue": SEA, "green": JUNGLE}


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """Run a command in this process, see that it steers nothing, and give code and what it said."""
    monkeypatch.setattr(cli, "disconnect", lambda: None)  # the cluster outlives a command
    for name in ("CI", "WSLABEL_QUIET"):
        monkeypatch.delenv(name, raising=False)

    def run(*words: object) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["wslabel", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capfd.readouterr()
        assert_shown(printed)
        said = printed.out + printed.err
        assert "\nwslabel: all is well" not in said
        return int(ended.value.code or 0), said

    return run


def manifest(folder: Path, *rows: tuple[str, str, str]) -> None:
    """Write a table of images: id, uri, truth; each with a title."""
    cells = [("id", "uri", "class", "title"), *((*row, TITLE) for row in rows)]
    quoted = (",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in cells)
    (folder / "list.csv").write_text("\n".join(quoted) + "\n", newline="")


def table(**more: Any) -> dict[str, Any]:
    """Give a source of images that reads the table."""
    columns = {"image_id": "id", "truth": "class", "metadata": ["title"], "shard_size": 8}
    return {"source": "table", "path": "list.csv"} | columns | more


@pytest.fixture
def project(tmp_path: Path, networks: Networks) -> Path:
    """A project whose images, titles, classes, categories and functions have evil names."""
    rows = []
    for index in range(24):
        kind, truth = ("sea", SEA) if index % 2 else ("jungle", JUNGLE)
        path = tmp_path / f"{index} {EVIL.replace('/', '')}.jpg"
        paint(path, kind, index)
        rows.append((f"{EVIL}{index}", path.name, truth))
    manifest(tmp_path, *rows, (f"{EVIL}gone", f"gone {EVIL}.jpg", SEA))
    names = tmp_path / "names.txt"
    names.write_text("\n".join(f"{EVIL}{index}" for index in range(5)))
    net = networks.net(categories={"file": str(names)}, embedding=True, precision="float32")
    config = tiny_config(
        tmp_path,
        classes=[JUNGLE, SEA],
        images=table(),
        features={"color": None, "thumbnail": {"size": 32}, "net": net},
        training=CNN | {"labels": ["soft", "hard"], "epochs": 1},
        comparison={"seeds": 2},
        labeling_functions=[
            {"name": "mean", "kind": "color", "statistic": "mean", "votes": VOTES},
            {"name": "pixel", "kind": "color", "statistic": "pixel", "votes": VOTES},
            {"name": "blue", "kind": "color", "statistic": "mean", "votes": {"blue": SEA}},
            {"name": "listed", "kind": "category", "feature": "net"}
            | {"categories": {SEA: [f"{EVIL}1"], JUNGLE: [f"{EVIL}2"]}},
        ],
    )
    return write_config(tmp_path / "p.yaml", config)


@pytest.mark.long
@pytest.mark.usefixtures("cluster")
def test_every_command_shows_what_strangers_call_things(project: Path, command: Command) -> None:
    assert command("status", project)[0] == 0
    code, said = command("run", project)
    assert code == 0
    assert r"sea \x1b]0;owned\x07" in said
    assert command("run", project, "--json")[0] == 0
    assert command("status", project)[0] == 0
    for image in (f"{EVIL}1", f"{EVIL}gone"):
        code, said = command("explain", project, image)
        assert code == 0
        assert r"title: \x1b]0;owned\x07" in said
    assert command("explain", project, f"{EVIL}nobody")[0] == 1
    for words in (("report",), ("compare",), ("export", "--table", "labels")):
        output = ("--output", project.parent / "out") if words[0] == "export" else ()
        assert command(words[0], project, *words[1:], *output)[0] == 0
    assert command("export", project, "--table", f"labels{EVIL}")[0] == 2
    assert command("export", project, "--network", EVIL)[0] == 2
    other = project.with_name(f"{EVIL.replace('/', '')}.yaml")
    assert command("init", project.parent, "--output", other)[0] == 0
    assert command("status", other)[0] == 0
    pages = list((project.parent / "ws" / "reports").glob("*.html"))
    assert len(pages) == 2
    assert_shown(page.read_text() for page in pages)


@pytest.mark.long
@pytest.mark.usefixtures("cluster")
def test_what_servers_say_is_shown(
    tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "FIRST_WAIT_S", 0.001)
    with serving() as server:
        paths = ("/200/a", f"/404/{EVIL}", f"/503/{EVIL}", f"/500/{EVIL}")
        Answers.data["/200/a"] = jpeg()
        manifest(tmp_path, *((f"{path}{EVIL}", f"{server}{path}", SEA) for path in paths))
        config = tiny_config(
            tmp_path,
            classes=[JUNGLE, SEA],
            images=table(allow=[server]),
            labeling_functions=[],
            engine={"actors": 1, "max_error_share": 1.0},
        )
        code, said = command("run", write_config(tmp_path / "p.yaml", config))
    assert code == 3
    assert "of 4 images not reached" in said


def jpeg() -> bytes:
    sink = io.BytesIO()
    Image.new("RGB", (32, 32), (60, 90, 170)).save(sink, "JPEG")
    return sink.getvalue()


def tar(path: Path, *members: tuple[str, bytes]) -> None:
    with tarfile.open(path, "w") as file:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            file.addfile(member, io.BytesIO(data))


def spoilt(folder: Path, what: str) -> dict[str, Any]:
    """Write what a source cannot take, full of escape sequences, and give the source."""
    packed: dict[str, Any] = {"source": "webdataset", "path": str(folder)}
    if what == "two images":
        tar(folder / "a.tar", (f"{EVIL}.jpg", b"x"), (f"{EVIL}.png", b"x"))
    elif what == "no JSON":
        tar(folder / "a.tar", (f"{EVIL}.json", EVIL.encode()), (f"{EVIL}.jpg", b"x"))
        packed["truth"] = "class"
    elif what == "no such key":
        tar(folder / "a.tar", ("a.json", json.dumps({EVIL: 1}).encode()), ("a.jpg", b"x"))
        packed["truth"] = EVIL[:-1]
    elif what == "no such class":
        tar(folder / "a.tar", ("a.cls", f"sea{EVIL}".encode()), ("a.jpg", b"x"))
        packed["truth"] = "cls"
    elif what == "no tar file":
        (folder / f"{EVIL.replace('/', '')}.tar").write_text(EVIL)
    elif what == "an id twice":
        manifest(folder, (EVIL, "a.jpg", SEA), (EVIL, "b.jpg", SEA))
        return table()
    elif what == "an unknown scheme":
        manifest(folder, (EVIL, f"htpp://{EVIL}", SEA))
        return table()
    else:
        manifest(folder, (EVIL, "a.jpg", SEA))
        return table(truth=EVIL)
    return packed


SPOILT = ("two images", "no JSON", "no such key", "no such class", "no tar file", "an id twice")


@pytest.mark.parametrize("what", [*SPOILT, "an unknown scheme", "no such column"])
def test_what_is_refused_is_shown(tmp_path: Path, command: Command, what: str) -> None:
    config = tiny_config(tmp_path, classes=[JUNGLE, SEA], labeling_functions=[])
    config["images"] = spoilt(tmp_path, what)
    code, said = command("run", write_config(tmp_path / "p.yaml", config))
    assert code == 1
    assert r"\x1b" in said


@pytest.mark.parametrize(
    "change",
    [
        {"images": {"source": "folder", "path": ".", "classes": {EVIL: EVIL}}},
        {"features": {EVIL: None}},
        {"features": {"color": {EVIL: 1}}},
        {EVIL: 1},
        {"workspace": f"http://{EVIL}"},
        {"labeling_functions": [{"name": EVIL, "kind": EVIL}]},
        {"training": CNN | {"variants": {EVIL: {"labels": EVIL}}}},
    ],
)
def test_what_is_wrong_in_a_project_is_shown(
    tmp_path: Path, command: Command, change: dict[str, Any]
) -> None:
    config = tiny_config(tmp_path, **change)
    code, said = command("status", write_config(tmp_path / "p.yaml", config))
    assert code == 2
    assert "x1b" in said


def test_a_wrong_call_is_shown(command: Command) -> None:
    assert command("status", f"{EVIL}.yaml")[0] == 2
    controls = EVIL.replace("\u202e", "").replace("\u200b", "")  # typer shows no others
    for words in ((f"rum{controls}",), ("status", "a", controls), ("status", f"--{controls}")):
        code, said = command(*words)
        assert code == 2
        assert r"\x1b" in said


def test_a_bug_is_told_of_without_steering(
    tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError(EVIL)

    monkeypatch.setattr(cli, "load", broken)
    code, said = command("status", tmp_path / "p.yaml")
    assert code == 1
    assert said.startswith("Traceback (most recent call last):\n")
    assert r"RuntimeError: \x1b]0;owned\x07" in said
