"""Why one image has its label: what was seen of it, who voted how, by how much, and the result."""

from datetime import date, time, timedelta
from typing import Any

import numpy as np
import pyarrow.compute as pc

from wslabel.errors import SourceError, nearest
from wslabel.labeling.applier import own_batches
from wslabel.labeling.labeling_function import features_of
from wslabel.schema import ABSTAIN
from wslabel.storage.table import Table, shard_name
from wslabel.uri import hushed, shown
from wslabel.workspace.batches import batch_reader
from wslabel.workspace.groups import GroupTable
from wslabel.workspace.requirements import require_features
from wslabel.workspace.workspace import Workspace

LONG = 16
"""Numbers in a list from which on only their count is shown."""

Values = dict[str, Any]
"""What tables hold of an image, by name, for people and for JSON."""


def explain(workspace: Workspace, image_id: str) -> Values:
    """Collect what the tables hold of an image.

    Raises:
        SourceError: No image has that id.
        WorkLeft: Features are missing.
    """
    require_features(workspace)
    shard, row, image = _find(workspace, image_id)
    values = image | {"shard": shard, "row": row}
    values["features"] = {
        name: _feature(workspace, name, shard, row) for name in workspace.extractors
    }
    if workspace.project.labeling_functions:
        values |= _labels(workspace, shard, row)
    return values


def _find(workspace: Workspace, image_id: str) -> tuple[int, int, Values]:
    known: list[str] = []
    told = shown(image_id)  # somebody may ask by a presigned uri
    for shard in workspace.shards:
        images = workspace.images.read(shard_name(shard))
        row = pc.index(images.column("image_id"), image_id).as_py()
        if row >= 0:
            image: Values = images.slice(row, 1).to_pylist()[0]
            return shard, row, {key: _shortened(value) for key, value in image.items()}
        known += images.column("image_id").to_pylist() if len(known) < 100_000 else []
    raise SourceError(f"no image has the id '{told}'; {nearest(told, known)}")


def _feature(workspace: Workspace, name: str, shard: int, row: int) -> Values:
    """Say what an extractor wrote: vectors and pictures by their size, categories by name."""
    extractor, known = workspace.extractors[name], workspace.generations[name]
    if shard not in known:
        return {"missing": "the stage featurize has not done it"}
    table = Table(workspace.location, extractor.folder).read(shard_name(shard, known[shard]))
    values: Values = table.slice(row, 1).to_pylist()[0]
    values.pop("image_id")
    if values.get("error") is None:
        values.pop("error", None)
    ids = values.pop("category_ids", None)
    if ids is not None and extractor.info is not None:
        shares = values.pop("category_probabilities")
        names = [extractor.info.categories[index] for index in ids]
        values["categories"] = dict(zip(names, (round(s, 4) for s in shares), strict=True))
    return {key: _shortened(value) for key, value in values.items()}


def _shortened(value: Any) -> Any:
    if isinstance(value, list) and len(value) >= LONG:
        return f"{len(value)} numbers"
    if isinstance(value, date | time | timedelta):
        return str(value)
    if isinstance(value, str):  # metadata may hold uris too
        return hushed(value)
    return f"{len(value):,} bytes" if isinstance(value, bytes) else value


def _labels(workspace: Workspace, shard: int, row: int) -> Values:
    values: Values = {}
    for key, derived in (("votes", workspace.votes), ("label", workspace.labels)):
        stored = _stored(derived, shard, row)
        if stored is None:
            return values
        values[key] = stored
    classes = workspace.project.classes
    scores = _scores(workspace, shard, row)
    evidence = _evidence(workspace, values["votes"])
    values["votes"] = {
        name: {"vote": None if vote == ABSTAIN else classes[vote]} | evidence[name] | scores[name]
        for name, vote in values["votes"].items()
    }
    values["label"] = _named(values["label"], classes)
    predictions = {
        name: _stored(workspace.predictions(network), shard, row)
        for name, network in workspace.networks.items()
    }
    values["predictions"] = {n: _named(p, classes) for n, p in predictions.items() if p is not None}
    return values


def _stored(derived: GroupTable, shard: int, row: int) -> Values | None:
    """Read the row of an image in a derived table; None where it is not made yet."""
    item = derived.item_of(shard)
    if item in derived.missing:
        return None
    part = derived.table.read_row_groups(item.name)[item.shards.index(shard)]
    values: Values = part.slice(row, 1).to_pylist()[0]
    values.pop("image_id")
    return values


def _evidence(workspace: Workspace, votes: dict[str, int]) -> dict[str, Values]:
    """Say what each vote adds to the label, in the log-odds of a label model that weighs votes."""
    fitted = workspace.fitted
    added = None if fitted is None else fitted.evidence(np.array(list(votes.values())))
    if added is None:
        return {name: {} for name in votes}
    return {
        name: {"evidence": round(float(value), 4)} if vote != ABSTAIN else {}
        for (name, vote), value in zip(votes.items(), added, strict=True)
    }


def _named(values: Values, classes: list[str]) -> Values:
    named: Values = {}
    for key, value in values.items():
        if key.endswith("probabilities") and value is not None:
            named[key] = {name: round(p, 4) for name, p in zip(classes, value, strict=True)}
        elif key.endswith("label"):
            named[key] = None if value is None else classes[value]
    return named


def _scores(workspace: Workspace, shard: int, row: int) -> dict[str, Values]:
    """Give score and thresholds of the labeling functions that go by a number."""
    functions = workspace.functions.applier.functions
    scored = [lf for lf in functions if lf.thresholds]
    reads = list(dict.fromkeys(column for lf in scored for column in lf.reads))
    features = features_of(reads, workspace.extractors)
    generations = {name: workspace.generations[name][shard] for name in features}
    columns = batch_reader(workspace, reads).read(shard, generations)
    batch = {name: column[row : row + 1] for name, column in columns.items()}
    scores: dict[str, Values] = {lf.name: {} for lf in functions}
    for lf, own in own_batches(scored, batch):
        score = float(lf.scores(own)[0])
        shown = None if np.isnan(score) else round(score, 4)
        scores[lf.name] = {"score": shown} | dict(lf.thresholds)
    return scores
