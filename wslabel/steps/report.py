"""From what was gathered to the sections of the page."""

import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow.compute as pc
from markupsafe import Markup

from wslabel import schema
from wslabel.labeling.similarity import PromptsVoter, ThresholdVoter
from wslabel.report import charts
from wslabel.report.page import Chart, Gallery, Grid, Page, Picture, Section, render
from wslabel.report.statistics import Calibration, Histogram
from wslabel.steps import log
from wslabel.steps.evaluate import best_function
from wslabel.steps.gather import EXAMPLES, Chosen, Gather, Gathered
from wslabel.steps.tables import Tables
from wslabel.storage.table import Table, error_count, shard_name

CALIBRATED = "Points on the diagonal: where it says 0.8, eight of ten are right."
MAJORITY = {"label": "label model", "majority_label": "majority vote"}
NETWORK_SCORES = {"roc_auc": "ROC-AUC", "calibration_error": "calibration error"}


def gather_step(tables: Tables) -> Gather:
    """Make the step that counts what the page shows."""
    project = tables.project
    voters = tables.court.jury.voters if project.labeling_functions else ()
    scored = tuple(v for v in voters if isinstance(v, PromptsVoter | ThresholdVoter))
    features = dict.fromkeys(voter.feature for voter in scored)
    return Gather(
        tables.location,
        tuple(project.classes),
        scored,
        {name: tables.extractors[name].folder for name in features},
        {name: tables.generations[name] for name in features},
    )


def write(tables: Tables, evaluation: Mapping[str, Any], found: Gathered) -> str:
    """Write the page of a project.

    Args:
        tables: of the project.
        evaluation: what the stage evaluate found.
        found: what was gathered over all groups.
    """
    return render(_page(tables, evaluation, found))


def _page(tables: Tables, evaluation: Mapping[str, Any], found: Gathered) -> Page:
    sections = [_story(tables, found)]
    if tables.project.labeling_functions:
        sections += [_functions(tables, evaluation, found), _labels(evaluation, found)]
        sections.append(_images(tables, found))
    if tables.networks:
        sections.append(_networks(tables, evaluation, found))
    errors = list(_errors(tables))
    note = "An image that can never be read keeps its row and says why." if errors else "None."
    grid = Grid(("feature", "kind", "images", "for example"), errors)
    sections.append(Section("Failed images", note, tables=[grid] if errors else []))
    made = time.strftime("%Y-%m-%d %H:%M", time.localtime())
    subtitle = f"Made {made} with wslabel {version('wslabel')}"
    name = " or ".join(tables.project.classes)
    return Page(name, subtitle, list(_facts(tables, evaluation, found)), sections)


def _facts(
    tables: Tables, evaluation: Mapping[str, Any], found: Gathered
) -> Iterator[tuple[str, str]]:
    yield f"{sum(found.images.values()):,}", "images"
    yield f"{len(tables.project.labeling_functions)}", "labeling functions"
    judged = [(kind, title, evaluation.get(kind, {})) for kind, title in MAJORITY.items()]
    judged += [(name, f"network {name}", one) for name, one in evaluation["networks"].items()]
    for kind, title, one in judged:
        score = one.get("test")
        if score and score["num_images"]:
            covered = score["coverage"]
            more = f", {covered:.1%} labeled" if kind in MAJORITY and covered is not None else ""
            yield f"{score['accuracy']:.4f}", f"accuracy of the {title} (test{more})"


def _story(tables: Tables, found: Gathered) -> Section:
    kinds = [c for c in (*tables.project.classes, None) if any(t == c for _, t in found.images)]
    others = {t for _, t in found.images} - set(kinds)
    kinds += sorted(o for o in others if o is not None)
    rows = []
    for split in schema.SPLITS:
        counts = [found.images.get((split, kind), 0) for kind in kinds]
        rows.append((split, *(f"{n:,}" for n in (*counts, sum(counts)))))
    heads = ("split", *(kind or "no truth" for kind in kinds), "all")
    return Section(
        "What was run",
        f"Workspace {tables.location.root}; source {tables.project.images.source}.",
        tables=[Grid(heads, rows, "Images"), _stages(tables)],
    )


def _stages(tables: Tables) -> Grid:
    """Add up what all runs so far spent in each stage."""
    totals: dict[str, Counter[str]] = defaultdict(Counter)
    for entry in log.read(tables.location):
        totals[entry["stage"]].update(
            made=entry["made"], images=entry["num_images"], seconds=entry["seconds"]
        )
    rows = []
    for stage, total in totals.items():
        rate = total["images"] / total["seconds"] if total["seconds"] else 0.0
        images = (f"{total['images']:,}", f"{rate:,.1f}") if total["images"] else ("-", "-")
        rows.append((stage, f"{total['made']:,}", f"{total['seconds']:.1f}", *images))
    heads = ("stage", "made", "seconds", "images", "images/s")
    return Grid(heads, rows, "Time, over all runs so far")


def _functions(tables: Tables, evaluation: Mapping[str, Any], found: Gathered) -> Section:
    rows = []
    fitted = tables.fitted
    weights: Any = fitted.weights_M if fitted else [None] * len(evaluation["labeling_functions"])
    for row, weight in zip(evaluation["labeling_functions"], weights, strict=True):
        accuracy = row["empirical_accuracy"]
        voted = (row["correct"] or 0) + (row["incorrect"] or 0)
        shown = Markup(charts.bar(accuracy if voted else None, "good"))
        bars = (Markup(charts.bar(row[key])) for key in ("coverage", "overlaps", "conflicts"))
        numbers = (row[key] if row[key] is not None else "-" for key in ("correct", "incorrect"))
        learnt = "-" if weight is None or np.isnan(weight) else f"{weight:.3f}"
        rows.append((row["name"], ", ".join(row["classes"]), *bars, *numbers, shown, learnt))
    heads = ("name", "votes for", "coverage", "overlaps", "conflicts")
    grid = Grid((*heads, "correct", "incorrect", "accuracy", "label model's estimate"), rows)
    pictures = list(_pair_charts(tables, found)) + list(_score_charts(tables, found))
    note = (
        "Shares of all images; accuracy where truth is known, over the images voted on. The label "
        "model estimates it without truth, from agreements alone."
    )
    return Section("Labeling functions", note, tables=[grid], charts=pictures)


def _pair_charts(tables: Tables, found: Gathered) -> Iterator[Chart]:
    if found.overlaps_MM is None or found.conflicts_MM is None:
        return
    names = [voter.name for voter in tables.court.jury.voters]
    total = max(1, sum(found.images.values()))
    overlaps = charts.heat(found.overlaps_MM / total, names, "overlaps")
    yield Chart("Overlaps", overlaps, "Share of the images on which both vote.", is_wide=True)
    disagreed_MM = found.conflicts_MM / np.maximum(1, found.overlaps_MM)
    conflicts = charts.heat(disagreed_MM, names, "conflicts")
    note = "Of the images on which both vote, where they disagree."
    yield Chart("Conflicts", conflicts, note, is_wide=True)


def _score_charts(tables: Tables, found: Gathered) -> Iterator[Chart]:
    for voter in tables.court.jury.voters:
        if isinstance(voter, PromptsVoter):
            marks, note = [(voter.margin, "margin")], "Lead of the nearest class over the next one."
        elif isinstance(voter, ThresholdVoter):
            ends = ((voter.above, "above"), (voter.below, "below"))
            marks = [(value, text) for value, text in ends if value is not None]
            note = "Cosine to the prompt or example."
        else:
            continue
        drawn = charts.histogram(_zoom(found.scores[voter.name]), voter.name, marks)
        yield Chart(voter.name, drawn, note)


def _zoom(found: Histogram, bins: int = 50) -> Histogram:
    """Show the part of a fine histogram in which there is something."""
    filled = np.flatnonzero(found.counts_B)
    if not len(filled):
        return found
    width = (found.high - found.low) / len(found.counts_B)
    first, last = int(filled[0]), int(filled[-1]) + 1
    step = max(1, -(-(last - first) // bins))
    last = min(len(found.counts_B), first + step * -(-(last - first) // step))
    part = found.counts_B[first:last]
    part = np.pad(part, (0, -len(part) % step)).reshape(-1, step).sum(axis=1)
    low = found.low + first * width
    return Histogram(low, low + len(part) * step * width, part)


def _labels(evaluation: Mapping[str, Any], found: Gathered) -> Section:
    pictures = []
    if found.confidence is not None:
        drawn = charts.histogram(found.confidence, "confidence")
        note = "Highest probability that the label model gives an image."
        pictures.append(Chart("Confidence", drawn, note))
    pictures += _calibrations(found, ("label model",))
    tables = [_quality(evaluation, MAJORITY, evaluation["classes"], "Against truth")]
    tables += [
        _confusion(evaluation, kind, evaluation["classes"], title)
        for kind, title in MAJORITY.items()
    ]
    best = best_function(evaluation)
    note = f"The best labeling function alone: {best}." if best else ""
    return Section("Labels", note, tables=[t for t in tables if t.rows], charts=pictures)


def _networks(tables: Tables, evaluation: Mapping[str, Any], found: Gathered) -> Section:
    names = {name: name for name in tables.networks}
    judged, classes = evaluation["networks"], evaluation["classes"]
    grids = [_quality(judged, names, classes, "On the test split", NETWORK_SCORES)]
    grids += [_confusion(judged, name, classes, name) for name in names]
    note = (
        "Each from a fresh start: original learns from truth, the others from weak labels as their "
        "settings say."
    )
    pictures = _calibrations(found, list(names))
    return Section("Networks", note, tables=[t for t in grids if t.rows], charts=pictures)


def _quality(
    evaluation: Mapping[str, Any],
    kinds: Mapping[str, str],
    names: Sequence[str],
    title: str,
    more: Mapping[str, str] = MappingProxyType({}),
) -> Grid:
    rows = []
    for kind, name in kinds.items():
        for split, score in evaluation.get(kind, {}).items():
            if not score["num_images"]:
                continue
            each = [f"{c[k]:.4f}" for c in score["classes"] for k in ("precision", "recall", "f1")]
            coverage = "-" if score["coverage"] is None else f"{score['coverage']:.4f}"
            head = (name, split, f"{score['num_images']:,}", coverage, f"{score['accuracy']:.4f}")
            extra = ("-" if score[k] is None else f"{score[k]:.4f}" for k in more)
            rows.append((*head, *extra, *each))
    classes = [f"{c} {k}" for c in names for k in ("precision", "recall", "F1")]
    heads = ("labels", "split", "images", "coverage", "accuracy", *more.values(), *classes)
    return Grid(heads, rows, title)


def _confusion(evaluation: Mapping[str, Any], kind: str, names: Sequence[str], title: str) -> Grid:
    score = evaluation.get(kind, {}).get("test")
    rows = []
    if score and score["num_images"]:
        rows = [
            (f"truly {name}", *(f"{n:,}" for n in row))
            for name, row in zip(names, score["confusion"], strict=True)
        ]
    return Grid(("", *names), rows, f"Confusion on the test split: {title}")


def _calibrations(found: Gathered, names: Sequence[str]) -> list[Chart]:
    pictures = []
    for name in names:
        one: Calibration | None = found.calibration.get(name)
        error = None if one is None else one.error()
        if one is not None and error is not None:
            drawn = charts.reliability(one, f"calibration of {name}")
            note = f"Test split; expected calibration error {error:.3f}. {CALIBRATED}"
            pictures.append(Chart(f"Calibration: {name}", drawn, note))
    return pictures


def _images(tables: Tables, found: Gathered) -> Section:
    galleries = []
    for title, chosen in (("Most confident", found.confident), ("Most contested", found.contested)):
        for label, images in sorted(chosen.items()):
            if images:
                pictures = [_picture(tables, image) for image in images]
                name = tables.project.classes[label]
                galleries.append(Gallery(f"{title}: {name}", pictures))
    return Section("Images", "Each with its label and the votes for it.", galleries=galleries)


def _picture(tables: Tables, image: Chosen) -> Picture:
    classes = tables.project.classes
    names = [voter.name for voter in tables.court.jury.voters]
    votes = [
        f"{name}: {classes[vote]}"
        for name, vote in zip(names, image.votes, strict=True)
        if vote != schema.ABSTAIN
    ]
    truth = classes[image.truth] if image.truth >= 0 else None
    label, confidence = classes[image.label], f"{image.confidence:.3f}"
    shown = thumbnail(tables, image.shard, image.row)
    return Picture(image.image_id, shown, label, confidence, votes, truth)


def thumbnail(tables: Tables, shard: int, row: int) -> bytes | None:
    """Look up the stored thumbnail of an image, None where the project stores none."""
    for name, extractor in tables.extractors.items():
        known = tables.generations[name]
        if extractor.settings.kind == "thumbnail" and shard in known:
            table = Table(tables.location, extractor.folder)
            read = table.read(shard_name(shard, known[shard]), ["jpeg"])
            found: bytes | None = read.column("jpeg")[row].as_py()
            return found
    return None


def _errors(tables: Tables) -> Iterator[tuple[str, str, str, str]]:
    for name, extractor in tables.extractors.items():
        table, known = extractor.table(tables.location), tables.generations[name]
        counts: Counter[str] = Counter()
        examples: dict[str, list[str]] = defaultdict(list)
        for shard in sorted(known):
            file = shard_name(shard, known[shard])
            if not error_count(table.footer(file)):
                continue
            failed = table.read(file, ["image_id", "error"])
            failed = failed.filter(pc.is_valid(failed.column("error")))
            for row in failed.to_pylist():
                counts[row["error"]] += 1
                if len(examples[row["error"]]) < EXAMPLES:
                    examples[row["error"]].append(row["image_id"])
        for kind, count in sorted(counts.items()):
            yield name, kind, f"{count:,}", ", ".join(examples[kind])
