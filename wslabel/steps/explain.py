"""Why one image has its label: what was seen of it, who voted how, by how much, and the result."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from wslabel.columns import to_array
from wslabel.errors import SourceError, nearest
from wslabel.label_model.parameters import evidence
from wslabel.labeling.similarity import PromptsVoter, ThresholdVoter, cosines
from wslabel.schema import ABSTAIN
from wslabel.steps.tables import Tables
from wslabel.storage.table import Table, shard_name


def explain(tables: Tables, image_id: str) -> dict[str, Any]:
    """Collect what the tables hold of an image.

    Raises:
        SourceError: no image has that id.
    """
    shard, row, image = _find(tables, image_id)
    found: dict[str, Any] = image | {"shard": shard, "row": row}
    found["features"] = {name: _feature(tables, name, shard, row) for name in tables.extractors}
    if tables.project.labeling_functions:
        found |= _labels(tables, shard, row)
    return found


def _find(tables: Tables, image_id: str) -> tuple[int, int, dict[str, Any]]:
    close: list[str] = []
    for shard in tables.shards:
        images = tables.images.read(shard_name(shard))
        row = pc.index(images.column("image_id"), image_id).as_py()
        if row >= 0:
            image: dict[str, Any] = images.slice(row, 1).to_pylist()[0]
            return shard, row, image
        close += images.column("image_id").to_pylist() if len(close) < 100_000 else []
    choice = nearest(image_id, close)
    raise SourceError(f"no image has the id '{image_id}'; {choice}")


def _feature(tables: Tables, name: str, shard: int, row: int) -> dict[str, Any]:
    """Say what an extractor wrote: vectors and pictures by their size, categories by name."""
    extractor, known = tables.extractors[name], tables.generations[name]
    if shard not in known:
        return {"missing": "the stage featurize has not done it"}
    table = Table(tables.location, extractor.folder).read(shard_name(shard, known[shard]))
    values: dict[str, Any] = table.slice(row, 1).to_pylist()[0]
    values.pop("image_id")
    if values.get("embedding") is not None:
        values["embedding"] = f"{len(values['embedding'])} numbers"
    if values.get("jpeg") is not None:
        values["jpeg"] = f"{len(values['jpeg']):,} bytes"
    if values.get("error") is None:
        values.pop("error", None)
    ids = values.pop("category_ids", None)
    if ids is not None and extractor.card is not None:
        shares = values.pop("category_probabilities")
        names = [extractor.card.categories[index] for index in ids]
        values["categories"] = dict(zip(names, (round(s, 4) for s in shares), strict=True))
    return values


def _labels(tables: Tables, shard: int, row: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, derived in (("votes", tables.votes), ("label", tables.labels)):
        work = next(work for work in derived.works if shard in work.shards)
        if work in derived.missing:
            return found
        part: pa.Table = derived.table.read_row_groups(work.name)[work.shards.index(shard)]
        found[key] = part.slice(row, 1).to_pylist()[0]
        found[key].pop("image_id")
    scores = _scores(tables, shard, row)
    classes = tables.project.classes
    adds = _evidence(tables, found["votes"])
    found["votes"] = {
        name: {"vote": None if vote == ABSTAIN else classes[vote]} | adds[name] | scores[name]
        for name, vote in found["votes"].items()
    }
    found["label"] = _named(found["label"], classes)
    found["predictions"] = {}
    for name, network in tables.networks.items():
        derived = tables.predictions(network)
        work = next(work for work in derived.works if shard in work.shards)
        if work not in derived.missing:
            part = derived.table.read_row_groups(work.name)[work.shards.index(shard)]
            values = part.slice(row, 1).to_pylist()[0]
            found["predictions"][name] = _named(values, classes)
    return found


def _evidence(tables: Tables, votes: dict[str, int]) -> dict[str, dict[str, Any]]:
    """Say what each vote adds to the label, in the log-odds of a label model that weighs votes."""
    parameters = tables.fitted
    if parameters is None:
        return {name: {} for name in votes}
    adds = evidence(parameters, np.array(list(votes.values())))
    return {
        name: {"evidence": round(float(value), 4)} if vote != ABSTAIN else {}
        for (name, vote), value in zip(votes.items(), adds, strict=True)
    }


def _named(values: dict[str, Any], classes: list[str]) -> dict[str, Any]:
    named: dict[str, Any] = {}
    for key, value in values.items():
        if key.endswith("probabilities") and value is not None:
            named[key] = {name: round(p, 4) for name, p in zip(classes, value, strict=True)}
        elif key.endswith("label"):
            named[key] = None if value is None else classes[value]
    return named


def _scores(tables: Tables, shard: int, row: int) -> dict[str, dict[str, Any]]:
    """Give score and threshold of the labeling functions that go by cosines."""
    found: dict[str, dict[str, Any]] = {v.name: {} for v in tables.court.jury.voters}
    for voter in tables.court.jury.voters:
        if not isinstance(voter, PromptsVoter | ThresholdVoter):
            continue
        known = tables.generations[voter.feature]
        table = Table(tables.location, tables.extractors[voter.feature].folder)
        read = table.read(shard_name(shard, known[shard]), ["embedding"]).slice(row, 1)
        score = float(voter.score(cosines(voter.vectors_PD, to_array(read.column(0))))[0])
        limits = (
            {"margin": voter.margin}
            if isinstance(voter, PromptsVoter)
            else {"above": voter.above, "below": voter.below}
        )
        shown = None if np.isnan(score) else round(score, 4)
        found[voter.name] = {"score": shown} | {k: v for k, v in limits.items() if v is not None}
    return found
