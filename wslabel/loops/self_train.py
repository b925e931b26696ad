"""Self-training: predict out of fold, choose, mix, train anew, until validation gets no better.

Rounds meet in tables alone: the labels of a round are a table like the label model's, named by the
networks that corrected them, so a killed run goes on and equal rounds are never made twice.
"""

import json
import operator
import time
from collections.abc import Sequence
from dataclasses import asdict
from functools import reduce
from typing import Any

import numpy as np

from wslabel.config import fingerprint
from wslabel.engine.drive import Spread, drive
from wslabel.errors import ConfigError
from wslabel.pipeline import Outcome, with_labels
from wslabel.report.charts import lines
from wslabel.report.page import Chart, Grid, Page, Section, render
from wslabel.settings import Project, SelfTraining, Training
from wslabel.steps.correct import Candidates, Correct, Sources, Tally, cuts
from wslabel.steps.evaluate import judge
from wslabel.steps.examples import Part
from wslabel.steps.folds import by_label
from wslabel.steps.learn import predict_networks, train_networks
from wslabel.steps.pool import pooled_answers
from wslabel.steps.tables import Derived, Network, Tables
from wslabel.steps.train import CARD, column


def self_train(project: Project) -> Outcome:
    """Go around until validation gets no better, or the rounds are over.

    Raises:
        ConfigError: the project has no section `self_training`.
    """
    start = time.monotonic()
    how, training = project.self_training, project.training
    if how is None or training is None:
        raise ConfigError("self_training: this section is missing; it may be empty: {}")
    tables = with_labels(project)
    rounds = _Rounds(tables, how, training.variant(how.variant))
    found = rounds.go()
    name = f"reports/self-training-{fingerprint(found)}"
    tables.location.create(f"{name}.html", render(_page(tables, found)).encode())
    data = json.dumps(found, sort_keys=True, indent=1).encode()
    tables.location.create(f"{name}.json", data)
    report = found | {"page": tables.location.uri(f"{name}.html"), "table": _table(found)}
    report["notes"] = [
        f"the best round is {found['best']}: {tables.location.uri(found['best_network'])}"
    ]
    seconds = time.monotonic() - start
    total = rounds.num_networks
    return Outcome("self_train", rounds.made, total, seconds=seconds, report=report)


class Learner:
    """A network's settings and images, from which rounds of labels and networks follow."""

    def __init__(
        self,
        tables: Tables,
        training: Training,
        outer: tuple[Part, ...] = (),
        splits: tuple[str, ...] = ("train",),
    ) -> None:
        """Name the folds within the images learned from, which are drawn if they are not yet.

        Args:
            tables: of the project.
            training: settings of all its networks.
            outer: parts in which the images are that are learned from.
            splits: whose images these are.
        """
        assert tables.project.self_training is not None
        self._tables, self._how = tables, tables.project.self_training
        self._training, self._outer, self._splits = training, outer, splits
        folds = by_label(tables, self._how.folds, self._how.seed)
        self._inner = [Part(folds, fold, is_held=False) for fold in range(self._how.folds)]

    def network(self, number: int, labels: Derived) -> Network:
        """Name the network of a round."""
        return self._named(f"round {number}", number, labels, ())

    def judges(self, number: int, labels: Derived) -> list[Network]:
        """Name the networks that judge what they have not learned from."""
        return [
            self._named(f"round {number} without fold {part.fold}", number, labels, (part,))
            for part in self._inner
        ]

    def _named(self, name: str, number: int, labels: Derived, inner: tuple[Part, ...]) -> Network:
        own = None if number == 0 else labels  # round 0 is that of the label model
        parts = (*self._outer, *inner)
        return self._tables.network(name, self._training, own, parts, self._splits)

    def corrected(self, before: Derived, judges: Sequence[Network]) -> tuple[Derived, Tally]:
        """Make the labels of the next round."""
        tables, how = self._tables, self._how
        predictions = [tables.predictions(judge_) for judge_ in judges]
        states = [[d.table.folder, d.state] for d in (tables.labels, before, *predictions)]
        settings = how.model_dump(include={"threshold", "quota", "agreement", "given_weight"})
        corrected = tables.whole(f"pseudo_labels/{fingerprint(states, settings)}")
        sources = Sources(
            tables.location,
            column(tables, tables.labels),
            column(tables, before),
            tuple(column(tables, d) for d in predictions),
            how,
            self._splits,
        )
        name = f"tally-{corrected.table.folder.rpartition('/')[2]}"
        known = tables.constants.get(name)
        if known is None or corrected.missing:
            known = tables.constants.keep(name, asdict(self._correct(sources, corrected)))
        return tables.whole(corrected.table.folder), Tally(**known)

    def _correct(self, sources: Sources, corrected: Derived) -> Tally:
        engine, classes = self._tables.project.engine, tuple(self._tables.project.classes)
        works = corrected.works
        cut_K = np.zeros(len(classes))
        if self._how.quota < 1.0:
            step = Candidates(sources)
            receipts = drive(engine, "choose", step, works, spread=Spread.CHEAP)
            found = [receipt.result for receipt in receipts]
            label_N, confidence_N = (np.concatenate(part) for part in zip(*found, strict=True))
            cut_K = cuts(label_N, confidence_N, len(classes), self._how.quota)
        correct = Correct(sources, tuple(map(float, cut_K)), corrected.table.folder, classes)
        receipts = drive(engine, "correct", correct, works, spread=Spread.CHEAP)
        return reduce(operator.add, (receipt.result for receipt in receipts), Tally())


def last_networks(tables: Tables, learners: Sequence[Learner]) -> list[Network]:
    """Go through all rounds with several learners at once, and give the network of each's last.

    There is no validation: where images are held out in turn, none are left for it.
    """
    assert tables.project.self_training is not None
    labels = [tables.labels] * len(learners)
    for number in range(tables.project.self_training.rounds):
        judges = [one.judges(number, own) for one, own in zip(learners, labels, strict=True)]
        wanted = [network for found in judges for network in found]
        train_networks(tables, wanted)
        predict_networks(tables, wanted)
        labels = [
            one.corrected(own, found)[0]
            for one, own, found in zip(learners, labels, judges, strict=True)
        ]
    last = tables.project.self_training.rounds
    return [one.network(last, own) for one, own in zip(learners, labels, strict=True)]


class _Rounds:
    """The rounds of one project, until validation gets no better."""

    def __init__(self, tables: Tables, how: SelfTraining, training: Training) -> None:
        self._tables, self._how, self._training = tables, how, training
        self._learner = Learner(tables, training)
        self.made = self.num_networks = 0

    def go(self) -> dict[str, Any]:
        """Go from round to round and tell about each; round 0 has the label model's own labels."""
        labels, tally = self._tables.labels, None
        rounds: list[dict[str, Any]] = []
        for number in range(self._how.rounds + 1):
            network = self._learner.network(number, labels)
            is_last = number == self._how.rounds
            judges = [] if is_last else self._learner.judges(number, labels)
            wanted = [network, *judges]
            self.num_networks += len(wanted)
            self.made += train_networks(self._tables, wanted)
            predict_networks(self._tables, wanted)
            rounds.append(self._judged(number, network, tally))
            if is_last or self._is_over(rounds):
                break
            labels, tally = self._learner.corrected(labels, judges)
        best = _best(rounds)
        return {"rounds": rounds, "best": best, "best_network": rounds[best]["network"]}

    def _judged(self, number: int, network: Network, tally: Tally | None) -> dict[str, Any]:
        location = self._tables.location
        card = json.loads(location.read(f"{network.folder}/{CARD}").to_pybytes())
        answers = pooled_answers(self._tables, {("round", number): [network]}, "test")
        (found,) = answers.values()
        judged = judge(found, len(self._tables.project.classes))
        validation = {k: v for k, v in card["metrics"].items() if k.startswith("validation_")}
        test = {key: judged[key] for key in ("accuracy", "macro_f1", "roc_auc", "num_images")}
        if not test["num_images"]:  # of no images a ratio is 0, which would look like a finding
            test |= {"accuracy": None, "macro_f1": None}
        return {
            "round": number,
            "network": network.file,
            "score": _score(self._training, card["metrics"]),
            "validation": validation,
            "test": test,
            "labels": None if tally is None else asdict(tally),
        }

    def _is_over(self, rounds: Sequence[dict[str, Any]]) -> bool:
        return rounds[-1]["score"] is not None and (
            len(rounds) - 1 - _best(rounds) >= self._how.patience
        )


def _score(how: Training, metrics: dict[str, float]) -> float | None:
    """Give what validation says of a network, the higher the better; None without validation."""
    value = metrics.get(f"validation_{how.select_by}")
    if value is None:
        return None
    return -value if how.select_by == "loss" else value


def _best(rounds: Sequence[dict[str, Any]]) -> int:
    """Give the first round that validation likes best; without validation the last one."""
    scores = [found["score"] for found in rounds]
    if scores[-1] is None:
        return len(rounds) - 1
    return scores.index(max(scores))


def _table(found: dict[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for one in found["rounds"]:
        labels, test = one["labels"], one["test"]
        row: dict[str, Any] = {"round": one["round"]}
        for key in ("chosen", "changed", "gained"):
            row[f"labels {key}"] = None if labels is None else labels[key]
        judged = labels is not None and labels["judged"]
        row["labels right"] = labels["right"] / labels["judged"] if judged else None
        row |= {name.replace("_", " "): value for name, value in one["validation"].items()}
        row |= {f"test {name}": test[name] for name in ("accuracy", "macro_f1", "roc_auc")}
        rows.append(row | {"best": "*" if one["round"] == found["best"] else ""})
    return rows


def _page(tables: Tables, found: dict[str, Any]) -> Page:
    rows = _table(found)
    cells = [["-" if v is None else _shown(v) for v in row.values()] for row in rows]
    accuracies = [row["test accuracy"] for row in rows]
    changed = [float(row["labels changed"] or 0) for row in rows]
    charts = [
        Chart(
            "Changed labels", lines({"changed": changed}, "changed labels by round"), "By round."
        ),
    ]
    if None not in accuracies:
        drawn = lines({"test accuracy": accuracies}, "accuracy by round")
        charts.insert(0, Chart("Accuracy", drawn, "By round."))
    how = tables.project.self_training
    assert how is not None
    note = (
        f"Every image of the train split is judged by a network that has not learned from it "
        f"({how.folds} folds). Predictions above {how.threshold:g} are mixed with the label "
        f"model's labels, of which {how.given_weight:g} stays. Truth is for this page alone."
    )
    section = Section("Rounds", note, [Grid(list(rows[0]), cells)], charts)
    title = f"{' or '.join(tables.project.classes)}: self-training"
    best = cells[found["best"]][list(rows[0]).index("test accuracy")]
    facts = [(str(best), f"test accuracy of round {found['best']}, the best by validation")]
    return Page(title, f"Workspace {tables.location.root}", facts, [section])


def _shown(value: Any) -> Any:
    return f"{value:.4f}" if isinstance(value, float) else value
