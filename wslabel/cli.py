"""The command line: `wslabel run`, `wslabel status`; what varies is in the project file.

Exit codes: 0 done, 1 an error, 2 a wrong project file or call, 3 work left for the next run.
"""

import json
import os
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from wslabel import pipeline
from wslabel.config.base import S3
from wslabel.engine.execute import disconnect, is_connected
from wslabel.errors import ConfigError, TransientStorageError, WorkLeft, WslabelError
from wslabel.project.loading import load
from wslabel.project.project import Project
from wslabel.project.starter import project_for
from wslabel.report import terminal
from wslabel.report.as_json import Presented, as_json
from wslabel.report.presentation import Column, Kind, Presentation, Section, Table
from wslabel.screen import say, visible
from wslabel.stages.result import StageResult
from wslabel.storage.failures import is_permanent
from wslabel.workspace.explain import explain as explain_image
from wslabel.workspace.status import TableStatus
from wslabel.workspace.status import status as table_status
from wslabel.workspace.workspace import Workspace

app = typer.Typer(
    add_completion=True, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__
)
Config = Annotated[Path, typer.Argument(help="the project file")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON lines instead of tables")]


def _to_cluster(address: str | None) -> str | None:
    """Have whatever needs a cluster join that one."""
    if address is not None:
        os.environ["RAY_ADDRESS"] = address
    return address


Address = Annotated[
    str | None,
    typer.Option(
        "--address",
        callback=_to_cluster,
        help="Ray cluster to run on; else RAY_ADDRESS, else this machine",
    ),
]
NetworkName = Annotated[str, typer.Option("--network", help="original, soft, hard or a variant")]


def main(*words: str) -> None:
    """Run a command; a known error is one sentence and an exit code, never a traceback.

    Args:
        words: Words of the command that stand before those of the command line; what jobs fix.
    """
    with _plain_errors():
        app(args=[*words, *sys.argv[1:]])


@app.command()
def run(
    config: Config,
    retry: Annotated[
        list[str] | None, typer.Option(help="error kind whose images to take up again")
    ] = None,
    until: Annotated[str | None, typer.Option(help="last stage to do")] = None,
    only: Annotated[str | None, typer.Option(help="the one stage to do")] = None,
    refresh: Annotated[  # noqa: FBT002 - an option
        bool, typer.Option("--refresh-quantiles", help="find thresholds by quantile anew")
    ] = False,
    address: Address = None,
    as_json: AsJson = False,  # noqa: FBT002 - an option
) -> None:
    """Do what is not yet done of a project, from images to an evaluated classifier."""
    if only is not None and until is not None:
        raise ConfigError("--only and --until exclude one another")
    project, options = load(config), pipeline.Options(frozenset(retry or ()), refresh)
    if only is not None:
        _show_with_retry(pipeline.run_stage(project, only, options), config, json_lines=as_json)
        return
    is_all_there = True
    for result in pipeline.run(project, until=until, options=options):
        is_all_there = is_all_there and not result.made
        _show_with_retry(result, config, json_lines=as_json)
    if not as_json:
        say(_next_step(config, until, is_all_there=is_all_there))


def _show_with_retry(result: StageResult, config: Path, *, json_lines: bool) -> None:
    show(result, json_lines=json_lines)
    if result.errors and not json_lines:
        kinds = " ".join(f"--retry {kind}" for kind in sorted(result.errors))
        say(f"to take failed images up again: wslabel run {config} {kinds}")


def _next_step(config: Path, until: str | None, *, is_all_there: bool) -> str:
    if is_all_there:
        started = "" if is_connected() else "; Ray was not started"
        what = "all tables are there" if until is None else f"{until} is done"
        return f"nothing to do: {what}{started}"
    if until is None:
        return f"why an image has its label: wslabel explain {config} IMAGE_ID"
    return f"next: wslabel run {config}"


@app.command()
def status(config: Config, as_json: AsJson = False) -> None:  # noqa: FBT002 - an option
    """Show the tables of a project: shards done and missing, rows, errors by kind."""
    tables = table_status(load(config))
    if as_json:
        print_json([asdict(table) for table in tables])
        return
    terminal.draw(_status_presentation(tables))
    if any(table.missing for table in tables) or not tables[0].done:
        say(f"next: wslabel run {config}")


def _status_presentation(tables: Sequence[TableStatus]) -> Presentation:
    columns = (
        Column("table"),
        Column("folder"),
        Column("done", Kind.COUNT),
        Column("missing", Kind.COUNT),
        Column("rows", Kind.COUNT),
        Column("errors"),
    )
    rows = tuple(
        (t.table, t.folder, t.done, t.missing, t.rows, _counts(t.errors) or None) for t in tables
    )
    table = Table(title="Tables", columns=columns, rows=rows, noun="tables")
    return Presentation(title="Tables", sections=(Section(title="Tables", tables=(table,)),))


@app.command()
def report(
    config: Config,
    address: Address = None,
    as_json: AsJson = False,  # noqa: FBT002 - an option
) -> None:
    """Write the page that shows a finished run: one HTML file that needs nothing else."""
    show(pipeline.run_stage(load(config), "report"), json_lines=as_json)


@app.command()
def explain(config: Config, image_id: str, as_json: AsJson = False) -> None:  # noqa: FBT002 - an option
    """Tell why an image has its label: what was seen of it, who voted how, and the result."""
    values = explain_image(Workspace(load(config)), image_id)
    if as_json:
        print_json([values])
        return
    say(*yaml_like(values).split("\n"))


@app.command()
def compare(
    config: Config,
    address: Address = None,
    as_json: AsJson = False,  # noqa: FBT002 - an option
) -> None:
    """Train every network over seeds (and folds), and compare them on the same held-out images."""
    from wslabel.experiments import compare as experiment  # noqa: PLC0415 - loads torch

    project = load(config)
    experiment.refuse_nothing(project)
    _prepare(project, json_lines=as_json)
    show(experiment.compare(project), json_lines=as_json)


@app.command()
def self_train(
    config: Config,
    address: Address = None,
    as_json: AsJson = False,  # noqa: FBT002 - an option
) -> None:
    """Correct labels by out-of-fold predictions, round by round, and train anew."""
    from wslabel.experiments import self_train as experiment  # noqa: PLC0415 - loads torch

    project = load(config)
    experiment.refuse_nothing(project)
    _prepare(project, json_lines=as_json)
    show(experiment.self_train(project), json_lines=as_json)


@app.command()
def sweep(
    config: Annotated[Path, typer.Argument(help="the sweep file")],
    address: Address = None,
    as_json: AsJson = False,  # noqa: FBT002 - an option
) -> None:
    """Search keys of a project for the network that validation likes best."""
    from wslabel.experiments.sweep import sweep as experiment  # noqa: PLC0415 - loads torch

    show(experiment(config), json_lines=as_json)


def _prepare(project: Project, *, json_lines: bool) -> None:
    """Do what an experiment needs of the story."""
    for result in pipeline.run(project, until="pretrain"):
        if result.made or json_lines:
            show(result, json_lines=json_lines)


@app.command()
def predict(
    config: Config,
    images: Annotated[
        str, typer.Argument(help="folder, prefix, CSV, Parquet, or YAML with a section images")
    ],
    output: Annotated[str, typer.Option(help="workspace of these images; a path or s3://...")],
    network: NetworkName = "soft",
    address: Address = None,
    as_json: AsJson = False,  # noqa: FBT002 - an option
) -> None:
    """Run a trained network over other images; running again goes on."""
    for result in pipeline.predict_images(load(config), network, images, output):
        show(result, json_lines=as_json)


@app.command()
def export(
    config: Config,
    network: NetworkName = "soft",
    output: Annotated[Path | None, typer.Option(help="folder that gets the files")] = None,
    table: Annotated[
        str | None, typer.Option(help="labels or predictions/NETWORK instead of a network")
    ] = None,
    kind: Annotated[
        str | None, typer.Option(help="of the table's file: csv (the default) or parquet")
    ] = None,
    as_json: AsJson = False,  # noqa: FBT002 - an option
) -> None:
    """Write a trained network as ONNX, or with --table what is said of all images as one file."""
    if table is None and kind is not None:
        raise ConfigError("--kind is of a table's file; say which: --table labels")
    if table is None:
        files = pipeline.export(load(config), network, output)
    else:
        files = [pipeline.export_labels(load(config), {"kind": kind or "csv"}, table, output)]
    if as_json:
        print_json([{"files": files}])
        return
    say(*files)


@app.command()
def init(
    folder: Annotated[str, typer.Argument(help="of images; a path or s3://bucket/prefix")],
    output: Annotated[Path, typer.Option(help="project file to write")] = Path("project.yaml"),
    as_json: AsJson = False,  # noqa: FBT002 - an option
) -> None:
    """Write a commented project file for a folder of images, to start from."""
    if output.exists():
        raise ConfigError(f"{output}: there is such a file already; name another: --output")
    place = folder if folder.startswith("s3://") else str(Path(folder).resolve())
    output.write_text(project_for(place, output.name, S3()), encoding="utf-8")
    if as_json:
        print_json([{"project": str(output)}])
        return
    say(f"wrote {output}; next: wslabel run {output}")


@contextmanager
def _plain_errors() -> Iterator[None]:
    try:
        yield
    except WslabelError as error:
        say(*f"wslabel: {error}".split("\n"), error=True)
        is_left = isinstance(error, WorkLeft | TransientStorageError)
        if is_left:
            config = next((word for word in sys.argv[1:] if Path(word).is_file()), "CONFIG")
            say(f"next: wslabel run {config}", error=True)
        sys.exit(2 if isinstance(error, ConfigError) else 3 if is_left else 1)
    except OSError as error:
        # What storage says of a place that may not be read is a user's matter, not a bug.
        if not is_permanent(error):
            _tell_bug(error)
        say(f"wslabel: {' '.join(str(error).split())}", error=True)
        sys.exit(1)
    except Exception as error:  # noqa: BLE001 - a bug, which is told of in full
        _tell_bug(error)
    except KeyboardInterrupt:
        say("wslabel: stopped; what was committed stays, run again to go on", error=True)
        sys.exit(130)
    finally:
        disconnect()


def _tell_bug(error: Exception) -> NoReturn:
    """Print a traceback as Python does, but for what would steer the terminal."""
    say(*"".join(traceback.format_exception(error)).rstrip("\n").split("\n"), error=True)
    sys.exit(1)


def show(result: StageResult, *, json_lines: bool) -> None:
    """Print what a stage did: a line, its tables, and where to find the rest."""
    if json_lines:
        print_json([as_json(result)])
        return
    what = f"{result.made} of {result.total} made" if result.made else f"{result.total} there"
    errors = f", failed: {_counts(result.errors)}" if result.errors else ""
    rate = result.num_images / result.seconds if result.seconds else 0.0
    images = f", {result.num_images:,} images, {rate:,.0f}/s" if result.num_images else ""
    say(f"{result.stage:<10} {what}{images}{errors} in {result.seconds:.1f} s")
    if isinstance(result, Presented):
        terminal.draw(result.presentation())
    say(*result.notes)


def yaml_like(value: object, indent: int = 0) -> str:
    """Lay out nested values, one per line, for reading.

    >>> print(yaml_like({"votes": {"color": {"vote": "sea"}}, "row": 3}))
    votes:
      color: vote sea
    row: 3
    """
    if not isinstance(value, dict):
        return _cell(value)
    return "\n".join(_entry(name, inner, indent) for name, inner in value.items())


def _entry(name: object, value: object, indent: int) -> str:
    head = f"{' ' * indent}{visible(str(name))}:"
    if not isinstance(value, dict):
        return f"{head} {_cell(value)}"
    if indent and not any(isinstance(inner, dict) for inner in value.values()):
        flat = (f"{visible(str(key))} {_cell(inner)}" for key, inner in value.items())
        return f"{head} {', '.join(flat)}"
    return f"{head}\n{yaml_like(value, indent + 2)}"


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, list | tuple):
        return ", ".join(visible(str(item)) for item in value)
    return f"{value:,}" if isinstance(value, int) else visible(str(value))


def _counts(errors: Mapping[str, int]) -> str:
    return ", ".join(f"{kind} {count}" for kind, count in sorted(errors.items()))


def print_json(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print JSON lines."""
    for row in rows:
        # JSON escapes all other controls itself.
        say(json.dumps(row, sort_keys=True).replace("\x7f", "\\u007f"))
