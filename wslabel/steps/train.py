"""From tables to what training and predicting need: runs, examples, inputs, work."""

from collections.abc import Callable, Mapping
from typing import Any

from wslabel.steps import doors
from wslabel.steps.examples import Inputs, TableExamples
from wslabel.steps.networks import maker
from wslabel.steps.predict import PredictWork
from wslabel.steps.tables import Derived, Tables


def training_run(tables: Tables, variant: str) -> Any:
    """Describe the training of one network; what it learns from is read in the workers."""
    training = tables.project.training
    assert training is not None
    labels = "original" if training.validate_on == "truth" else "soft"
    validate = _examples(tables, labels, "val") if training.validate_on else None
    return doors.room("training.loop").Run(
        name=tables.model(variant),
        make=network_maker(tables),
        train=_examples(tables, variant, "train", training.seed),
        validate=validate,
        epochs=training.epochs,
        learning_rate=training.learning_rate,
        weight_decay=training.weight_decay,
        seed=training.seed,
    )


def network_maker(tables: Tables) -> Callable[[], Any]:
    """Give what builds the network in any process."""
    training = tables.project.training
    assert training is not None
    extractor = tables.extractors[training.feature]
    return maker(training, extractor, len(tables.project.classes), tables.project.s3)


def inputs(tables: Tables) -> Inputs:
    """Say what the network reads of an image."""
    training = tables.project.training
    assert training is not None
    how = None if training.network == "linear" else training.preprocess
    return Inputs(tables.location, tables.extractors[training.feature].folder, how)


def _examples(tables: Tables, target: str, split: str, seed: int | None = None) -> TableExamples:
    training = tables.project.training
    assert training is not None
    is_weak = target != "original"
    files = {work.key: work.name for work in tables.labels.works} if is_weak else {}
    return TableExamples(
        inputs(tables),
        tables.input_works(),
        target,
        tables.labels.table.folder if is_weak else None,
        files,
        tuple(tables.project.classes),
        split,
        training.batch_size,
        seed,
    )


def prediction_works(tables: Tables, derived: Mapping[str, Derived]) -> list[PredictWork]:
    """List the groups that lack the predictions of some network."""
    works = []
    for work in tables.input_works():
        lacking = {v: work.name for v, table_ in derived.items() if work in table_.missing}
        if lacking:
            works.append(PredictWork(work.key, work.shards, work.generations["input"], lacking))
    return works
