"""JSON of a workspace, by the first byte: facts of a network, a label model, an evaluation."""

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tests.fuzz import trees
from tests.fuzz.refusals import scratch, see_that_it_is_clear
from tests.report.evaluations import evaluation
from wslabel.config.preprocess import Preprocess
from wslabel.errors import WslabelError
from wslabel.features.model_info import ModelInfo
from wslabel.label_model.majority import MajorityConfig
from wslabel.label_model.parameters import Parameters
from wslabel.label_model.snorkel import SnorkelConfig
from wslabel.report.evaluation import Evaluation
from wslabel.storage.location import Location
from wslabel.workspace.constants import Constants, as_a

READS = ("wslabel", "json")
WORDS = (b"NaN", b"Infinity", b"-0", b"1e999", b"null", b"\\ud800", b'"parameters"', b"[]", b"{}")

FOLDER = scratch()
(FOLDER / "constants").mkdir()
CONSTANTS = Constants(Location(str(FOLDER)), read_only=True)
PARSES: tuple[Callable[[Any], object], ...] = (
    as_a(ModelInfo),
    lambda kept: SnorkelConfig().restore(kept["parameters"]),
    lambda kept: MajorityConfig(kind="majority").restore(kept["parameters"]),
    Evaluation.from_json,
)


def one_input(data: bytes) -> None:
    (FOLDER / "constants" / "x.json").write_bytes(data[1:])
    try:
        CONSTANTS.get("x", PARSES[(data[0] if data else 0) % len(PARSES)])
    except WslabelError as error:
        see_that_it_is_clear(error)


def seeds() -> Iterator[bytes]:
    info = ModelInfo(Preprocess(resize=32, crop=32), ("sea", "forest"), 16)
    third = np.full(2, 1 / 3)
    fitted = Parameters(np.full((4, 2), 0.5, np.float32), third, np.array([0.5, np.nan]))
    values: tuple[Any, ...] = (
        info.to_dict(),
        {"parameters": fitted.to_json()},
        {"parameters": json.dumps({"num_classes": 2})},
        evaluation(2, 2).to_json(),
    )
    for kind, value in enumerate(values):
        yield bytes([kind]) + json.dumps(value).encode()


def mutated(data: bytes, rng: random.Random) -> bytes:
    tree = json.loads(data[1:])
    inner = tree.get("parameters") if isinstance(tree, dict) else None
    if isinstance(inner, str) and rng.random() < 0.8:
        spoiled = trees.damaged(json.loads(inner), rng)
        return data[:1] + json.dumps({"parameters": json.dumps(spoiled)}).encode()
    return data[:1] + json.dumps(trees.damaged(tree, rng)).encode()
