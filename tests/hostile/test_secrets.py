"""A planted password, user and signature are nowhere but in the manifest's column of uris."""

import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.conftest import paint, tiny_config, write_config
from tests.sources.web import Answers, serving
from wslabel import cli
from wslabel.config.base import S3
from wslabel.errors import TransientStorageError, WorkLeft, WslabelError
from wslabel.project.loading import load
from wslabel.sources import shard_fetcher
from wslabel.sources import web as web_module
from wslabel.sources.allowed import Allowed
from wslabel.sources.fetch import Fetcher, Unfetchable
from wslabel.sources.stream import open_stream
from wslabel.stages.featurize.featurize import featurize_step
from wslabel.storage import failures
from wslabel.storage.location import Location
from wslabel.storage.s3 import endpoint_of
from wslabel.storage.table import Table, shard_name
from wslabel.workspace.workspace import Workspace

QUERY = "size=2&X-Amz-Signature=HUSH&X-Amz-Credential=HUSH&token=HUSH"
KINDS = (
    *("404", "403", "503", "429", "short", "chunks", "garbage", "silent", "circle"),
    *("endless", "huge", "away/http://u:HUSH@127.0.0.3:9/x?sig=HUSH", "away/ftp://u:HUSH@h/x"),
)


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little patience with servers."""
    monkeypatch.setattr(failures, "PATIENCE_S", 0.0)
    monkeypatch.setattr(shard_fetcher, "SILENT_S", 0.0)
    monkeypatch.setattr(web_module, "READ_S", 0.3)


@pytest.fixture
def web() -> Iterator[str]:
    """A server."""
    with serving() as address:
        yield address


def signed(web: str, kind: str) -> str:
    """Spell a uri that lets one in twice: by password and by signature."""
    if kind.isalnum():
        kind += "/a.jpg"
    mark = "&" if "?" in kind else "?"
    user = "us%40er:HU/HUSH" if kind == "odd" else "HUSH:HUSH"
    return f"{web.replace('//', f'//{user}@')}/{kind}{mark}{QUERY}"


@pytest.mark.parametrize("kind", [*KINDS, "odd"])
def test_no_failure_of_a_fetch_tells_a_secret(
    web: str, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    fetch = Fetcher(S3(), Allowed((web,)), max_bytes=2**20)
    with pytest.raises((Unfetchable, TransientStorageError)) as caught:
        fetch(signed(web, kind), lambda _: 0.0)
    told = "".join(traceback.format_exception(caught.value))
    assert "127.0.0.1" in told
    assert "HUSH" not in told + caplog.text
    Answers.asked.clear()  # what fails the first time does so again
    if kind not in ("endless", "huge"):
        with pytest.raises((OSError, WslabelError)) as failed:
            _read(signed(web, kind))
        assert "HUSH" not in "".join(traceback.format_exception(failed.value)) + caplog.text


def _read(uri: str) -> None:
    with open_stream(uri, S3()) as stream:
        while stream.read(2**20):
            pass


@pytest.mark.parametrize(
    "uri",
    [
        "http://HUSH:HUSH@127.0.0.1:9/a?sig=HUSH",
        "http://HUSH:HUSH@169.254.169.254/a?sig=HUSH",
        "http://HUSH:HUSH@nohost.invalid/a?sig=HUSH",
        "http://HUSH:HUSH@[/a?sig=HUSH",
        "http://HUSH:HU/SH@host/a@b?sig=HUSH",
        "zip://a::http://HUSH:HUSH@host/a?sig=HUSH",
        "ftp://HUSH:HUSH@host/a?sig=HUSH",
        "s3://HUSH:HU/HUSH@bucket/a.jpg",
        "az://HUSH:HUSH@bucket/a.jpg",
    ],
)
def test_nor_does_a_uri_that_is_none(uri: str, caplog: pytest.LogCaptureFixture) -> None:
    for act in (
        lambda: Fetcher(S3(region="us-east-1", endpoint="http://127.0.0.1:9"))(uri, lambda _: 0.0),
        lambda: open_stream(uri, S3(region="us-east-1", endpoint="http://127.0.0.1:9")),
    ):
        with pytest.raises((WslabelError, OSError)) as caught:
            act()
        assert "HUSH" not in "".join(traceback.format_exception(caught.value)) + caplog.text


def test_nor_does_an_endpoint_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://HUSH:HUSH@127.0.0.1:9")
    for act in (
        lambda: endpoint_of(S3()),
        lambda: Location("s3://bucket/a").read("b"),
        lambda: Fetcher(S3())("s3://bucket/a"),
    ):
        with pytest.raises(WslabelError, match="must not carry credentials") as caught:
            act()
        assert "HUSH" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("key", ["workspace", "images", "engine"])
def test_nor_does_a_project_file_that_is_refused(key: str, tmp_path: Path) -> None:
    uri = f"https://HUSH:HUSH@host/{'a' * 99}?sig=HUSH"
    values = {"images": {"source": "table", "path": uri}, "engine": {"actors": uri}}
    path = write_config(tmp_path / "p.yaml", tiny_config(tmp_path) | {key: values.get(key, uri)})
    with pytest.raises(WslabelError, match="https://host/a") as caught:
        load(path)
    assert "HUSH" not in str(caught.value)


def project_of(folder: Path, web: str) -> Path:
    """Write a project of images of all kinds, good ones too, each with a secret in its uri."""
    uris = [signed(web, kind) for kind in KINDS]
    uris += [signed(web, f"200/{n}.jpg") for n in range(8)]
    for n, uri in enumerate(uris):
        path = uri.partition("@")[2].partition("/")[2]
        paint(folder / "drawn.jpg", "sea" if n % 2 else "jungle", n)
        Answers.data[f"/{path}"] = (folder / "drawn.jpg").read_bytes()
    rows = [f"{uri},seen at {uri} by day" for uri in uris]
    (folder / "list.csv").write_text("\n".join(["uri,title", *rows]))
    images = {"source": "table", "path": "list.csv", "metadata": ["title"], "shard_size": 8}
    images["allow"] = [web]
    engine = {"actors": 1, "max_error_share": 1.0, "max_attempts": 2, "max_image_bytes": 2**20}
    config = tiny_config(folder) | {"images": images, "engine": engine}
    config["label_model"] = {"kind": "majority"}
    return write_config(folder / "p.yaml", config)


def tables_and_files(root: Path) -> Iterator[str]:
    """Give all that a workspace holds, as text, but for the manifest's columns of people."""
    for path in sorted(root.rglob("*")):
        if path.suffix == ".parquet":
            table = pq.read_table(path)
            if path.parent.name == "images":
                table = table.drop_columns(["uri", "title"])
            yield f"{path}: {table.schema} {table.to_pylist()}"
        elif path.is_file():
            yield f"{path}: {path.read_bytes()!r}"


def featurized(config: Path) -> str:
    """Fetch in this process, which is hurried, in the two runs that busy servers get; tell why."""
    told = ""
    for _ in range(2):
        workspace = Workspace(load(config))
        for item in workspace.missing_shards(frozenset()):
            step = featurize_step(workspace)
            try:
                step.finish(item, step.prepare(item, isolated=False))
            except WorkLeft as error:
                told += str(error)
    return told


def test_a_finished_workspace_its_page_and_all_that_is_printed_hold_none(
    web: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    config = project_of(tmp_path, web)
    run = _commands(monkeypatch)
    run("run", str(config), "--until", "ingest")
    told = featurized(config)
    assert "not reached, run 1 of 2" in told
    for words in (["run"], ["run", "--json"], ["status"], ["status", "--json"], ["report"]):
        run(words[0], str(config), *words[1:])
    ids = Table(Location(str(tmp_path / "ws")), "images").read(shard_name(0)).column("image_id")
    for image_id in ids.to_pylist():
        run("explain", str(config), image_id, "--json")
    run("explain", str(config), ids[0].as_py())
    run("explain", str(config), signed(web, "none"))
    run("export", str(config), "--table", "labels", "--kind", "csv",
        "--output", f"{tmp_path}/ws/labels.csv")  # fmt: skip
    printed = capfd.readouterr()
    held = list(tables_and_files(tmp_path / "ws"))
    assert any("'error': 'unreachable'" in text for text in held)
    assert any("<html" in text for text in held)
    assert any("labels.csv: b" in text for text in held)
    assert "seen at http" in printed.out
    assert [text[:200] for text in held if "HUSH" in text] == []
    assert "HUSH" not in told + printed.out + printed.err


def _commands(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    monkeypatch.setattr(cli, "disconnect", lambda: None)  # the cluster outlives a command

    def command(*words: str) -> None:
        monkeypatch.setattr("sys.argv", ["wslabel", *words])
        with pytest.raises(SystemExit):
            cli.main()

    return command
