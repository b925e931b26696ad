"""The command line: `wslabel run`, `wslabel status`; what varies is in the project file.

Exit codes: 0 done, 1 an error, 2 a wrong project file or call, 3 work left for the next run.
"""

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from wslabel import pipeline
from wslabel.config import load
from wslabel.engine.cluster import disconnect, is_connected
from wslabel.errors import ConfigError, WorkLeft, WslabelError
from wslabel.settings import S3, Project
from wslabel.steps import doors
from wslabel.steps.evaluate import best_function
from wslabel.steps.init import project_for
from wslabel.steps.tables import Tables
from wslabel.storage.location import is_permanent

app = typer.Typer(
    add_completion=True, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__
)
Config = Annotated[Path, typer.Argument(help="the project file")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON lines instead of tables")]
Retry = Annotated[list[str] | None, typer.Option(help="error kind whose images to take up again")]
Refresh = Annotated[
    bool, typer.Option("--refresh-quantiles", help="find thresholds by quantile anew")
]
Until = Annotated[str | None, typer.Option(help="last stage to do")]


def main() -> None:
    """Run a command; a known error is one sentence and an exit code, never a traceback."""
    with _plainly():
        app()


@app.command()
def run(
    config: Config,
    retry: Retry = None,
    until: Until = None,
    refresh: Refresh = False,  # noqa: FBT002 - an option
    as_json: AsJson = False,  # noqa: FBT002 - an option
) -> None:
    """Do what is not yet done of a project, from images to an evaluated classifier."""
    outcomes = pipeline.run(load(config), retry or (), until, refresh=refresh)
    nothing = True
    for outcome in outcomes:
        nothing = nothing and not outcome.made
        show(outcome, as_json=as_json)
        if outcome.errors and not as_json:
            kinds = " ".join(f"--retry {kind}" for kind in sorted(outcome.errors))
            print(f"to take failed images up again: wslabel run {config} {kinds}")
    if as_json:
        return
    if nothing:
        started = "" if is_connected() else "; Ray was not started"
        what = "all tables are there" if until is None else f"{until} is done"
        print(f"nothing to do: {what}{started}")
    elif until is None:
        print(f"why an image has its label: wslabel explain {config} IMAGE_ID")
    else:
        print(f"next: wslabel run {config}")


@app.command()
def status(config: Config, as_json: AsJson = False) -> None:  # noqa: FBT002 - an option
    """Show the tables of a project: shards done and missing, rows, errors by kind."""
    rows = [asdict(row) for row in pipeline.status(load(config))]
    if as_json:
        _print_json(rows)
        return
    for row in rows:
        row["errors"] = _counts(row["errors"])
    _print_table("", rows)
    if any(row["missing"] for row in rows) or not rows[0]["done"]:
        print(f"next: wslabel run {config}")


@app.command()
def report(config: Config, as_json: AsJson = False) -> None:  # noqa: FBT002 - an option
    """Write the page that shows a finished run: one HTML file that needs nothing else."""
    show(pipeline.report(load(config)), as_json=as_json)


@app.command()
def explain(config: Config, image_id: str, as_json: AsJson = False) -> None:  # noqa: FBT002 - an option
    """Tell why an image has its label: what was seen of it, who voted how, and the result."""
    found = pipeline.explain(load(config), image_id)
    if as_json:
        _print_json([found])
        return
    print(yaml_like(found))


@app.command()
def compare(config: Config, as_json: AsJson = False) -> None:  # noqa: FBT002 - an option
    """Train every network over seeds (and folds), and compare them on the same held-out images."""
    _loop("compare", config, as_json=as_json)


@app.command()
def predict(
    config: Config,
    images: Annotated[
        str, typer.Argument(help="folder, prefix, CSV, Parquet, or YAML with a section images")
    ],
    output: Annotated[str, typer.Option(help="workspace of these images; a path or s3://...")],
    network: Annotated[str, typer.Option(help="original, soft, hard or a variant")] = "soft",
    as_json: AsJson = False,  # noqa: FBT002 - an option
) -> None:
    """Run a trained network over other images; running again goes on."""
    for outcome in doors.room("loops.predict").predict(load(config), network, images, output):
        show(outcome, as_json=as_json)


@app.command()
def export(
    config: Config,
    network: Annotated[str, typer.Option(help="original, soft, hard or a variant")] = "soft",
    output: Annotated[Path | None, typer.Option(help="folder that gets a copy")] = None,
    as_json: AsJson = False,  # noqa: FBT002 - an option
) -> None:
    """Make a trained network an ONNX file, beside its safetensors and its card."""
    project = load(config)
    found = doors.room("loops.predict").find_network(project, network)
    files = doors.room("steps.export").export(Tables(project), found, output)
    if as_json:
        _print_json([{"files": files}])
        return
    print("\n".join(files))


@app.command()
def self_train(config: Config, as_json: AsJson = False) -> None:  # noqa: FBT002 - an option
    """Correct labels by out-of-fold predictions, round by round, and train anew."""
    _loop("self_train", config, as_json=as_json)


@app.command()
def sweep(
    config: Annotated[Path, typer.Argument(help="the sweep file")],
    as_json: AsJson = False,  # noqa: FBT002 - an option
) -> None:
    """Search keys of a project for the network that validation likes best."""
    show(doors.room("loops.sweep").sweep(config), as_json=as_json)


def _loop(name: str, config: Path | str, *, as_json: bool) -> None:
    """Do what a loop needs of the story, then go around it."""
    project = load(config)
    room = doors.room(f"loops.{name}")
    for outcome in pipeline.run(project, until="pretrain"):
        if outcome.made or as_json:
            show(outcome, as_json=as_json)
    found = getattr(room, name)(project)
    show(found, as_json=as_json)


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
        _print_json([{"project": str(output)}])
        return
    print(f"wrote {output}; next: wslabel run {output}")


def loop(name: str) -> None:
    """Go around a loop for the project file that the command line names; the body of its job."""
    with _plainly():
        if len(sys.argv) != 2:
            raise ConfigError(f"usage: python {sys.argv[0]} CONFIG")
        _loop(name, sys.argv[1], as_json=False)


def job(stage: Callable[[Project], pipeline.Outcome]) -> None:
    """Run one stage for the project file that the command line names; the body of every job."""
    with _plainly():
        if len(sys.argv) != 2:
            raise ConfigError(f"usage: python {sys.argv[0]} CONFIG")
        show(pipeline.do(stage, load(sys.argv[1])), as_json=False)


@contextmanager
def _plainly() -> Iterator[None]:
    try:
        yield
    except WslabelError as error:
        print(f"wslabel: {error}", file=sys.stderr)
        if isinstance(error, WorkLeft):
            config = next((word for word in sys.argv[1:] if Path(word).is_file()), "CONFIG")
            print(f"next: wslabel run {config}", file=sys.stderr)
        sys.exit(2 if isinstance(error, ConfigError) else 3 if isinstance(error, WorkLeft) else 1)
    except OSError as error:
        # What storage says of a place that may not be read is a user's matter, not a bug.
        if not is_permanent(error):
            raise
        print(f"wslabel: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("wslabel: stopped; what was committed stays, run again to go on", file=sys.stderr)
        sys.exit(130)
    finally:
        disconnect()


def show(outcome: pipeline.Outcome, *, as_json: bool) -> None:
    """Print what a stage did."""
    if as_json:
        _print_json([asdict(outcome)])
        return
    what = f"{outcome.made} of {outcome.total} made" if outcome.made else f"{outcome.total} there"
    errors = f", failed: {_counts(outcome.errors)}" if outcome.errors else ""
    rate = outcome.num_images / outcome.seconds if outcome.seconds else 0.0
    images = f", {outcome.num_images:,} images, {rate:,.0f}/s" if outcome.num_images else ""
    print(f"{outcome.stage:<10} {what}{images}{errors} in {outcome.seconds:.1f} s")
    if outcome.report is not None and "table" in outcome.report:
        _print_table("", outcome.report["table"])
        for line in outcome.report["notes"]:
            print(line)
        print(f"{'table' if outcome.stage == 'predict' else 'report'}: {outcome.report['page']}")
    elif outcome.report is not None and "pretrained" in outcome.report:
        found = outcome.report
        gain = f"{found['pretrained']:.4f}, of a random body {found['random']:.4f}"
        print(f"linear probe: accuracy on features of the pretrained body {gain}")
    elif outcome.report is not None:
        _show_report(outcome.report)


def _show_report(report: dict[str, Any]) -> None:
    functions = report.get("labeling_functions", [])
    keep = ("name", "classes", "coverage", "overlaps", "conflicts", "correct", "incorrect")
    rows = [
        {key: row[key] for key in keep} | {"accuracy": row["empirical_accuracy"]}
        for row in functions
    ]
    _print_table("Labeling functions", rows)
    _print_table(
        "Labels against truth", list(_qualities(report, LABELS, report.get("classes", [])))
    )
    if best := best_function(report):
        print(f"the best labeling function alone: {best}")
    networks = report.get("networks", {})
    judged = _qualities(networks, tuple(networks), report.get("classes", []))
    _print_table("Networks on the test split", list(judged))
    if "page" in report:
        print(f"report: {report['page']}")


LABELS = {"label": "label model", "majority_label": "majority vote"}


def _qualities(
    report: dict[str, Any], kinds: Iterable[str], classes: list[str]
) -> Iterator[dict[str, Any]]:
    for kind in kinds:
        for split, found in report.get(kind, {}).items():
            row = {"labels": LABELS.get(kind, kind), "split": split, "images": found["num_images"]}
            row |= {"coverage": found["coverage"], "accuracy": found["accuracy"]}
            if "roc_auc" in found:
                row |= {
                    "ROC-AUC": found["roc_auc"],
                    "calibration error": found["calibration_error"],
                }
            for name, score in zip(classes, found["classes"], strict=True):
                row |= {f"{name} {key}": score[key] for key in ("precision", "recall", "f1")}
            yield row


def yaml_like(value: object, indent: int = 0) -> str:
    """Lay out nested values, one per line, for reading.

    >>> print(yaml_like({"votes": {"color": {"vote": "sea"}}, "row": 3}))
    votes:
      color: vote sea
    row: 3
    """
    if not isinstance(value, dict):
        return _cell(value)
    lines = []
    for key, inner in value.items():
        is_flat = not isinstance(inner, dict) or not any(
            isinstance(v, dict) for v in inner.values()
        )
        if not isinstance(inner, dict):
            lines.append(f"{' ' * indent}{key}: {_cell(inner)}")
        elif is_flat and indent:
            flat = ", ".join(f"{k} {_cell(v)}" for k, v in inner.items())
            lines.append(f"{' ' * indent}{key}: {flat}")
        else:
            lines.append(f"{' ' * indent}{key}:\n{yaml_like(inner, indent + 2)}")
    return "\n".join(lines)


def _counts(errors: dict[str, int]) -> str:
    return ", ".join(f"{kind} {count}" for kind, count in sorted(errors.items()))


def _print_json(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        print(json.dumps(row, sort_keys=True), flush=True)


def _print_table(title: str, rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    table = Table(title=title or None, title_justify="left")
    for key, value in rows[0].items():
        table.add_column(key, justify="right" if isinstance(value, int | float) else "left")
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    # A terminal wraps what is too wide; a log keeps each row on its line.
    width = None if sys.stdout.isatty() else 200
    Console(width=width).print(table)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, list | tuple):
        return ", ".join(str(item) for item in value)
    return f"{value:,}" if isinstance(value, int) else str(value)
