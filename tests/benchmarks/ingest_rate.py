"""Lines/s of Open Images' label file, over pyarrow's bare CSV reading of the same file."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.csv as pacsv

from tests.open_images import FOREST, SEA, Release
from tests.sources.contexts import context
from wslabel.sources.openimages import OpenImagesConfig

NUM_LINES, BLOCK = 20_000_000, 500_000
NUM_LABELS = 20_000
SHARE = 0.002
"""Of the lines that are about one of the two classes, as in the data set."""

ROUNDS = 3


def measure() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        labels = Path(name, "labels.csv")
        _write(labels)
        section = Release(Path(name, "release"), {"train": []}).write()
        section |= {"labels": {"train": str(labels)}, "classes": {"sea": "Sea", "jungle": "Forest"}}
        settings = OpenImagesConfig.model_validate(section)
        listed = []

        def ours() -> None:
            listed.append(settings.list_images(context()).num_rows)

        ways: dict[str, Callable[[], object]] = {
            "ours": ours,
            "bare": lambda: pacsv.read_csv(labels),
            "stream": lambda: sum(batch.num_rows for batch in pacsv.open_csv(labels)),
        }
        seconds = {way: [] for way in ways}
        before = psutil.Process().memory_info().rss
        for _ in range(ROUNDS):
            for way, go in ways.items():
                start = time.perf_counter()
                go()
                seconds[way].append(time.perf_counter() - start)
                if len(listed) == 1 and way == "ours":
                    growth = psutil.Process().memory_info().rss - before
        size = labels.stat().st_size
    best = {way: min(found) for way, found in seconds.items()}
    detail = {
        "lines": NUM_LINES,
        "bytes": size,
        "images": listed[0],
        "lines_per_s": {way: NUM_LINES / found for way, found in best.items()},
        "over_stream": best["stream"] / best["ours"],
        "growth_MiB": growth / 2**20,
    }
    return {"value": best["bare"] / best["ours"], "unit": "of pyarrow.csv.read_csv"} | {
        "detail": detail
    }


def _write(path: Path) -> None:
    rng = np.random.default_rng(0)
    others = [f"/m/0{number:05x}" for number in range(NUM_LABELS)]
    names = pa.array([*others, SEA, FOREST])
    share = np.array([(1 - SHARE) / NUM_LABELS] * NUM_LABELS + [SHARE / 2] * 2)
    sources = pa.array(["verification", "crowdsource-verification"])
    options = pacsv.WriteOptions(quoting_style="none")
    fields = pa.schema([(n, pa.string()) for n in ("ImageID", "Source", "LabelName", "Confidence")])
    with pacsv.CSVWriter(path, fields, write_options=options) as writer:
        for _ in range(NUM_LINES // BLOCK):
            raw = rng.integers(0, 2**62, BLOCK, np.uint64)
            ids = pa.array([f"{value:016x}" for value in raw.tolist()])
            labels = names.take(pa.array(rng.choice(len(names), BLOCK, p=share)))
            source = sources.take(pa.array(rng.integers(0, 2, BLOCK)))
            sure = pa.array(["0", "1"]).take(pa.array(rng.integers(0, 2, BLOCK)))
            writer.write_table(pa.table([ids, source, labels, sure], schema=fields))
