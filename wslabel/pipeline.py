"""The story: ingest, featurize, vote, label, train, predict, evaluate, report.

Each stage is a function of a project. It does what is missing and nothing else, so running again
is resuming, and a stage that finds nothing missing starts no Ray.
"""

import json
import operator
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial, reduce
from typing import Any

from wslabel.config import fingerprint
from wslabel.engine.drive import Spread, drive, pools
from wslabel.engine.tasks import once
from wslabel.engine.work import Receipt, Step
from wslabel.errors import ConfigError, SourceError, WorkLeft, nearest
from wslabel.label_model.parameters import Parameters
from wslabel.label_model.summary import merge
from wslabel.schema import ERROR_KINDS
from wslabel.settings import Project
from wslabel.steps import doors, log
from wslabel.steps.evaluate import Evaluate, Findings, evaluation_works, report_of
from wslabel.steps.explain import explain as explain_image
from wslabel.steps.featurize import Featurize, measure
from wslabel.steps.ingest import (
    commit_new,
    draw_new,
    is_listed,
    list_source,
    listing_name,
    note_listed,
    refuse_redrawing,
)
from wslabel.steps.label import Label, Summarize
from wslabel.steps.learn import predict_networks, pretrain_body, train_networks
from wslabel.steps.probe import probe
from wslabel.steps.status import TableStatus
from wslabel.steps.status import status as count_tables
from wslabel.steps.tables import Derived, Tables
from wslabel.steps.vote import Vote, refuse_unknown_columns
from wslabel.storage.location import Location
from wslabel.storage.table import shard_name


@dataclass(frozen=True)
class Outcome:
    """What a stage did.

    Attributes:
        stage: its name.
        made: shards, groups or networks made now.
        total: that there are.
        num_images: gone through now.
        errors: images that failed now, by kind.
        seconds: that it took.
        report: what it found, of the stages that find something.
    """

    stage: str
    made: int = 0
    total: int = 0
    num_images: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    report: Any = None


def ingest(project: Project) -> Outcome:
    """Draw shards and splits from the source; images in the manifest stay as they are.

    Raises:
        SourceError: the source cannot be listed.
        ConfigError: the workspace was drawn in another way.
    """
    start = time.monotonic()
    tables = Tables(project)
    tables.location.sweep()
    refuse_redrawing(tables)
    name = listing_name(project)  # before the listing, during which a source may change
    if is_listed(tables, name):
        return Outcome("ingest", total=len(tables.shards), seconds=time.monotonic() - start)
    listing = list_source(project)
    while True:
        known = [tables.images.read(shard_name(shard)) for shard in tables.shards]
        new = draw_new(project, listing, known)
        made = commit_new(tables, new)
        if made is not None:
            total = len(tables.shards) + made
            note_listed(Tables(project), name)
            seconds = time.monotonic() - start
            return Outcome("ingest", made, total, new.num_rows, seconds=seconds)
        tables = Tables(project)


def featurize(project: Project, retry: Sequence[str] = ()) -> Outcome:
    """Run all extractors over the shards that lack them, each image fetched and decoded once.

    Args:
        project: what to do.
        retry: error kinds whose images are taken up again, in a new generation of their shards.

    Raises:
        TooManyErrors: too large a share of the images failed.
        WorkLeft: storage failed transiently for some shards.
    """
    for kind in retry:
        if kind not in ERROR_KINDS:
            raise ConfigError(f"there is no error kind '{kind}'; {nearest(kind, ERROR_KINDS)}")
    start = time.monotonic()
    tables = settle_precisions(project)
    works = tables.lacking(frozenset(retry))
    extractors = tables.extractors.values()
    spread = Spread.GPU if any(e.is_network for e in extractors) else Spread.CPU
    receipts = list(drive(project.engine, "featurize", _featurizer(tables), works, spread=spread))
    return _outcome("featurize", receipts, len(tables.shards), start)


def _with_images(project: Project, *, refresh: bool = False) -> Tables:
    tables = Tables(project, refresh=refresh)
    if not tables.shards:
        raise SourceError(f"{project.workspace}: no images yet; wslabel run ingests them")
    return tables


def _featurizer(tables: Tables) -> Featurize:
    project, engine = tables.project, tables.project.engine
    return Featurize(
        tables.location,
        project.images.s3 or project.s3,
        project.s3,
        tuple(tables.extractors.values()),
        engine.fetch_threads,
        engine.max_pixels,
        engine.batch_size,
        engine.max_error_share,
    )


def settle_precisions(project: Project) -> Tables:
    """Measure each network whose precision is open, once per workspace."""
    tables = _with_images(project)
    still_open = [e for name, e in tables.extractors.items() if tables.is_open(name)]
    if not still_open:
        return tables
    plan = pools(tables.project.engine, 1, uses_gpu=True)
    action = partial(measure, _featurizer(tables), still_open, tables.shards[0])
    chosen = once(action, plan)
    for extractor in still_open:
        tables.constants.keep(f"precision-{extractor.identity}", chosen[extractor.name])
    return Tables(tables.project)


def vote(project: Project, *, refresh: bool = False) -> Outcome:
    """Let every labeling function vote on every image.

    Args:
        project: what to do.
        refresh: find thresholds that are given by quantile anew, over the images there are now.

    Raises:
        LabelingFunctionError: one of them failed.
    """
    start = time.monotonic()
    tables = _with_features(project, refresh=refresh)
    fields = tables.images.footer(shard_name(tables.shards[0])).schema.to_arrow_schema()
    refuse_unknown_columns(tables.court.jury.voters, fields)
    votes = tables.votes
    folders = {name: tables.extractors[name].folder for name in tables.voting_features}
    step = Vote(tables.location, tables.court.jury, folders | {"": "images"}, votes.table.folder)
    receipts = _derive(project, "vote", step, votes)
    return _outcome("vote", receipts, len(votes.works), start)


def _with_features(project: Project, *, refresh: bool = False) -> Tables:
    tables = _with_images(project, refresh=refresh)
    lacking = tables.lacking()
    if lacking:
        raise WorkLeft(f"{len(lacking)} shards lack features; run the stage featurize first")
    return tables


def label(project: Project) -> Outcome:
    """Fit the label model on the train split and apply it to all images."""
    start = time.monotonic()
    tables = _with_features(project)
    _refuse_missing(tables.votes, "votes", "vote")
    labels = tables.labels
    receipts: list[Receipt] = []
    if labels.missing:
        parameters = _fitted(tables)
        num_classes = len(project.classes)
        folders = tables.votes.table.folder, labels.table.folder
        step = Label(tables.location, *folders, num_classes, parameters)
        receipts = _derive(project, "label", step, labels)
    return _outcome("label", receipts, len(labels.works), start)


def _fitted(tables: Tables) -> Parameters | None:
    settings = tables.project.label_model
    if settings.kind == "majority":
        return None
    num_classes = len(tables.project.classes)

    def fit() -> dict[str, str]:
        step = Summarize(tables.location, tables.votes.table.folder, num_classes)
        works = tables.votes.works
        receipts = drive(tables.project.engine, "summarize", step, works, spread=Spread.CHEAP)
        summary = reduce(merge, (receipt.result for receipt in receipts))
        how = settings.model_dump(exclude={"kind"})
        fitted = doors.room("label_model.snorkel").fit(summary, num_classes=num_classes, **how)
        return {"parameters": fitted.to_json()}

    found = tables.constants.get_or_make(tables.label_model, fit)
    return Parameters.from_json(found["parameters"])


def pretrain(project: Project) -> Outcome:
    """Train the body that `pretraining` describes on images alone."""
    start = time.monotonic()
    tables = _with_features(project)
    how = project.pretraining
    if how is None:
        return Outcome("pretrain")
    made = pretrain_body(tables, how)
    found = None
    if how.probe is not None:
        name = f"probe-{fingerprint(tables.pretrained, how.probe)}"
        found = tables.constants.get_or_make(name, lambda: probe(tables, how))
    return Outcome("pretrain", made, 1, seconds=time.monotonic() - start, report=found)


def train(project: Project) -> Outcome:
    """Train a network per kind of label and variant, each from a fresh, equally seeded start."""
    start = time.monotonic()
    tables = with_labels(project)
    made = train_networks(tables, list(tables.networks.values()))
    seconds = time.monotonic() - start
    return Outcome("train", made, len(tables.networks), seconds=seconds)


def with_labels(project: Project) -> Tables:
    """Open the tables of a project whose features and labels are made.

    Raises:
        WorkLeft: they are not.
    """
    tables = _with_features(project)
    if project.labeling_functions:
        _refuse_missing(tables.labels, "labels", "label")
    return tables


def predict(project: Project) -> Outcome:
    """Run every trained network over all images, each input read once."""
    start = time.monotonic()
    tables = with_labels(project)
    receipts, num_groups = predict_networks(tables, list(tables.networks.values()))
    return _outcome("predict", receipts, num_groups, start)


def evaluate(project: Project) -> Outcome:
    """Compare labeling functions, labels and, on the test split, predictions with truth."""
    start = time.monotonic()
    tables = with_labels(project)
    name = tables.evaluation
    made = 0
    if not tables.location.exists(name):
        for name_, network in tables.networks.items():
            _refuse_missing(tables.predictions(network), f"predictions of {name_}", "predict")
        works = evaluation_works(tables)
        step = Evaluate(tables.location, tuple(project.classes))
        receipts = drive(project.engine, "evaluate", step, works, spread=Spread.CHEAP)
        findings: Findings = sum((r.result for r in receipts), Findings())
        report = report_of(project, findings)
        tables.location.create(name, json.dumps(report, sort_keys=True, indent=1).encode())
        made = 1
    report = json.loads(tables.location.read(name).to_pybytes())
    return Outcome("evaluate", made, 1, seconds=time.monotonic() - start, report=report)


def report(project: Project) -> Outcome:
    """Write the page that shows a finished run; one that was written for it already is kept.

    Raises:
        WorkLeft: the stage evaluate has not been done.
    """
    start = time.monotonic()
    tables = with_labels(project)
    if not tables.location.exists(tables.evaluation):
        raise WorkLeft(f"{tables.evaluation} is missing; run the stage evaluate first")
    name = tables.report
    made = 0
    if not tables.location.exists(name):
        page = doors.room("steps.report")
        step, works = page.gather_step(tables), evaluation_works(tables)
        receipts = drive(project.engine, "report", step, works, spread=Spread.CHEAP)
        found = reduce(operator.add, (receipt.result for receipt in receipts))
        evaluation = json.loads(tables.location.read(tables.evaluation).to_pybytes())
        tables.location.create(name, page.write(tables, evaluation, found).encode())
        made = 1
    seconds = time.monotonic() - start
    return Outcome("report", made, 1, seconds=seconds, report={"page": tables.location.uri(name)})


def status(project: Project) -> list[TableStatus]:
    """Count what the workspace holds of a project, from its files alone."""
    return count_tables(project)


def explain(project: Project, image_id: str) -> dict[str, Any]:
    """Tell why an image has its label, from the tables alone.

    Raises:
        SourceError: no image has that id.
        WorkLeft: features are missing.
    """
    return explain_image(_with_features(project), image_id)


STAGES: tuple[Callable[..., Outcome], ...] = (
    ingest,
    featurize,
    vote,
    label,
    pretrain,
    train,
    predict,
    evaluate,
    report,
)


def run(
    project: Project,
    retry: Sequence[str] = (),
    until: str | None = None,
    *,
    refresh: bool = False,
) -> Iterator[Outcome]:
    """Do what is not yet done, in order, and tell about each stage as it ends.

    Args:
        project: what to do.
        retry: error kinds whose images are taken up again.
        until: name of the last stage to do, None for all.
        refresh: find thresholds that are given by quantile anew.
    """
    options: dict[Any, dict[str, Any]] = {featurize: {"retry": retry}, vote: {"refresh": refresh}}
    for stage in STAGES[: _end(until)]:
        if stage in (vote, label) and not project.labeling_functions:
            continue
        if stage in (train, predict) and project.training is None:
            continue
        if stage is pretrain and project.pretraining is None:
            continue
        if stage in (evaluate, report) and not (project.labeling_functions or project.training):
            continue
        yield do(stage, project, **options.get(stage, {}))


def do(stage: Callable[..., Outcome], project: Project, **options: Any) -> Outcome:
    """Do one stage and keep how long it took, if it made anything."""
    outcome = stage(project, **options)
    if outcome.made and stage is not report:
        entry = {"stage": outcome.stage, "made": outcome.made, "errors": outcome.errors}
        entry |= {"num_images": outcome.num_images, "seconds": outcome.seconds}
        log.note(Location(project.workspace, project.s3), entry)
    return outcome


def _end(until: str | None) -> int | None:
    names = [stage.__name__ for stage in STAGES]
    if until is not None and until not in names:
        raise ConfigError(f"there is no stage '{until}'; {nearest(until, names)}")
    return None if until is None else names.index(until) + 1


def _refuse_missing(derived: Derived, what: str, command: str) -> None:
    if derived.missing:
        raise WorkLeft(
            f"{len(derived.missing)} of {len(derived.works)} groups of {what} are missing; "
            f"run the stage {command} first"
        )


def _derive(project: Project, stage: str, step: Step, derived: Derived) -> list[Receipt]:
    """Make the missing groups of a table, then remove those that newer ones stand for."""
    if not derived.missing:
        return []
    receipts = list(drive(project.engine, stage, step, derived.missing, spread=Spread.CHEAP))
    derived.table.supersede(derived.state)
    return receipts


def _outcome(stage: str, receipts: Sequence[Receipt], total: int, start: float) -> Outcome:
    errors = sum((Counter(receipt.errors) for receipt in receipts), Counter[str]())
    num_images = sum(receipt.num_images for receipt in receipts)
    seconds = time.monotonic() - start
    return Outcome(stage, len(receipts), total, num_images, dict(errors), seconds)
