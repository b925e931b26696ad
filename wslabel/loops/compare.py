"""Compare networks fairly: every one from fresh starts, over seeds, on the same held-out images."""

import json
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.stats import ttest_1samp

from wslabel import schema
from wslabel.config import fingerprint
from wslabel.errors import ConfigError
from wslabel.loops.self_train import Learner, last_networks
from wslabel.pipeline import Outcome, with_labels
from wslabel.report.charts import Dots, dots
from wslabel.report.page import Chart, Grid, Page, Section, render
from wslabel.settings import Comparison, Project, Training
from wslabel.steps.evaluate import Answers, judge
from wslabel.steps.examples import Part
from wslabel.steps.folds import by_truth
from wslabel.steps.group import read_images
from wslabel.steps.label import class_ids
from wslabel.steps.learn import predict_networks, train_networks
from wslabel.steps.pool import Key, pooled_answers
from wslabel.steps.tables import Network, Tables

SCORES = ("accuracy", "macro_f1", "roc_auc", "calibration_error", "negative_log_likelihood")
LEVEL = 0.95


def compare(project: Project) -> Outcome:
    """Train every network of a project over seeds and folds, and judge all on the same images.

    Raises:
        ConfigError: there is nothing to compare.
    """
    start = time.monotonic()
    tables = with_labels(project)
    training, how = project.training, project.comparison
    if training is None or len(training.names) < 2:
        raise ConfigError("training: to compare, name at least two networks (labels or variants)")
    name = f"reports/comparison-{_identity(tables)}"
    made = 0
    if not tables.location.exists(f"{name}.json"):
        split = "test" if how.folds is None else None
        _refuse_without_truth(tables, split)
        made, networks = _train(tables)
        answers = pooled_answers(tables, networks, split)
        reference = how.reference or training.names[0]
        found = comparison(answers, reference, len(project.classes))
        tables.location.create(f"{name}.html", render(_page(tables, found)).encode())
        data = json.dumps(found, sort_keys=True, indent=1).encode()
        tables.location.create(f"{name}.json", data)
    found = json.loads(tables.location.read(f"{name}.json").to_pybytes())
    found |= {"page": tables.location.uri(f"{name}.html"), "table": table(found), "notes": []}
    total = sum(row["seeds"] for row in found["rows"]) * (how.folds or 1)
    return Outcome("compare", made, total, seconds=time.monotonic() - start, report=found)


def _slices(tables: Tables, seed: int) -> list[tuple[Part, ...]]:
    """Give the parts of the images that networks of a seed learn from."""
    folds = tables.project.comparison.folds
    if folds is None:
        return [()]
    column = by_truth(tables, folds, seed)
    return [(Part(column, fold, is_held=False),) for fold in range(folds)]


def splits_of(comparison: Comparison, how: Training) -> tuple[str, ...]:
    """Give the splits that a network learns from.

    With folds these are all but the one that validates: of that, what is not held out validates.
    """
    if comparison.folds is None:
        return ("train",)
    return schema.SPLITS if how.validate_on is None else ("train", "test")


def _networks(tables: Tables) -> dict[Key, list[Network]]:
    """List the networks of each name and seed, one per fold."""
    training, how = tables.project.training, tables.project.comparison
    assert training is not None
    found = {}
    for seed in range(how.seeds):
        slices = _slices(tables, seed)
        for name in training.names:
            own = _seeded(training.variant(name), seed)
            splits = splits_of(how, own)
            found[name, seed] = [
                tables.network(name, own, parts=parts, splits=splits) for parts in slices
            ]
    return found


def _seeded(how: Training, seed: int) -> Training:
    return how.model_copy(update={"seed": how.seed + seed})


def _self_trained(tables: Tables) -> dict[Key, list[Network]]:
    """Go through the rounds of self-training for each seed and fold, all at once."""
    training, how = tables.project.training, tables.project.self_training
    if not tables.project.comparison.self_training:
        return {}
    assert training is not None
    assert how is not None
    learners: dict[Key, list[Learner]] = {}
    for seed in range(tables.project.comparison.seeds):
        own = _seeded(training.variant(how.variant), seed)
        slices, splits = _slices(tables, seed), splits_of(tables.project.comparison, own)
        learners["self_training", seed] = [Learner(tables, own, parts, splits) for parts in slices]
    flat = [learner for found in learners.values() for learner in found]
    last = iter(last_networks(tables, flat))
    return {key: [next(last) for _ in found] for key, found in learners.items()}


def _identity(tables: Tables) -> str:
    folders = {
        f"{name} {seed}": [network.folder for network in networks]
        for (name, seed), networks in _networks(tables).items()
    }
    project = tables.project
    loops = [project.comparison, project.self_training]
    return fingerprint(folders, loops, project.classes, tables.shards)


def _refuse_without_truth(tables: Tables, split: str | None) -> None:
    images = read_images(tables.location, tables.shards, ["split", schema.TRUTH])
    known_N = class_ids(images.column(schema.TRUTH), tuple(tables.project.classes)) >= 0
    if split is not None:
        known_N &= images.column("split").to_numpy() == split
    if not known_N.any():
        where = "" if split is None else f" of the {split} split"
        raise ConfigError(
            f"comparison: no image{where} has one of the classes as its truth, so there is nothing "
            "to judge networks by; name a truth in images"
        )


def _train(tables: Tables) -> tuple[int, dict[Key, list[Network]]]:
    """Train all networks that are missing; tell how many that were, and list all."""
    found = _networks(tables)
    made = train_networks(tables, [n for networks in found.values() for n in networks])
    found |= _self_trained(tables)
    every = [n for networks in found.values() for n in networks]
    made += train_networks(tables, every)
    predict_networks(tables, every)
    return made, found


def comparison(answers: Mapping[Key, Answers], reference: str, num_classes: int) -> dict[str, Any]:
    """Score networks over seeds, and compare each with a reference on the same images.

    A network is right on an image as often as over the seeds. Whether two differ is told by a
    paired t-test over the images (Student 1908), with the confidence interval of the mean
    difference in accuracy; images on which a network says nothing are wrong.
    """
    names = list(dict.fromkeys(name for name, _ in answers))
    right = {name: _right(answers, name) for name in names}
    rows = []
    for name in names:
        scored = [judge(found, num_classes) for (own, _), found in answers.items() if own == name]
        row: dict[str, Any] = {"name": name, "seeds": len(scored), "images": len(right[name])}
        for score in SCORES:
            values = [one[score] for one in scored if one[score] is not None]
            row[score] = float(np.mean(values)) if values else None
            row[f"{score}_sd"] = float(np.std(values, ddof=1)) if len(values) > 1 else None
        row["accuracies"] = [one["accuracy"] for one in scored]
        if name != reference:
            row |= paired(right[name] - right[reference])
        rows.append(row)
    return {"reference": reference, "rows": rows}


def _right(answers: Mapping[Key, Answers], name: str) -> np.ndarray:
    found = [a for (own, _), a in answers.items() if own == name]
    right = [~np.isnan(a.probs_NK[:, 0]) & (a.probs_NK.argmax(axis=1) == a.truth_N) for a in found]
    return np.asarray(np.mean(right, axis=0))


def paired(difference_N: np.ndarray) -> dict[str, float | None]:
    """Give mean, confidence interval and p-value of a difference over images."""
    mean = float(difference_N.mean()) if len(difference_N) else 0.0
    if len(difference_N) < 2 or not difference_N.any():
        return {"difference": mean, "low": mean, "high": mean, "p_value": None}
    test = ttest_1samp(difference_N, 0.0)
    low, high = test.confidence_interval(LEVEL)
    return {
        "difference": mean,
        "low": float(low),
        "high": float(high),
        "p_value": float(test.pvalue),
    }


def table(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Lay a comparison out: means with their spread over seeds, differences in points."""
    rows = []
    for row in found["rows"]:
        cells = {"network": row["name"], "seeds": row["seeds"], "images": row["images"]}
        for score in SCORES:
            cells[score.replace("_", " ")] = _spread(row[score], row[f"{score}_sd"])
        cells[f"points to {found['reference']}"] = _points(row)
        p_value = row.get("p_value")
        cells["p"] = "-" if p_value is None else f"{p_value:.2g}"
        rows.append(cells)
    return rows


def _spread(mean: float | None, deviation: float | None) -> str:
    if mean is None:
        return "-"
    return f"{mean:.4f}" + ("" if deviation is None else f" ± {deviation:.4f}")


def _points(row: Mapping[str, Any]) -> str:
    if "difference" not in row:
        return "-"
    mean, low, high = (100 * row[key] for key in ("difference", "low", "high"))
    return f"{mean:+.2f} [{low:+.2f}, {high:+.2f}]"


def _page(tables: Tables, found: Mapping[str, Any]) -> Page:
    rows = table(found)
    how = tables.project.comparison
    where = "the test split" if how.folds is None else f"all images, {how.folds} folds pooled"
    note = (
        f"Each network from {how.seeds} fresh starts, judged on {where}. ± is the standard "
        f"deviation over seeds; points are the mean difference in accuracy over the same images, "
        f"with its {LEVEL:.0%} interval from a paired t-test."
    )
    drawn = dots(
        [Dots(row["name"], row["accuracies"], row["accuracy"]) for row in found["rows"]], "accuracy"
    )
    grid = Grid(list(rows[0]), [list(row.values()) for row in rows])
    chart = Chart("Accuracy", drawn, "One dot per seed; the mark is their mean.", is_wide=True)
    best = max(found["rows"], key=lambda row: row["accuracy"])
    facts = [(f"{best['accuracy']:.4f}", f"accuracy of {best['name']}, the best")]
    title = f"{' or '.join(tables.project.classes)}: comparison"
    subtitle = f"Workspace {tables.location.root}"
    return Page(title, subtitle, facts, [Section("Networks", note, [grid], [chart])])
