"""Labels come out as a table that any tool reads, one row per image, whatever the groups."""

import csv
import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from tests.sources.contexts import context
from wslabel.exports.exporter import LabeledImages
from wslabel.exports.registry import EXPORTS
from wslabel.sources.table import TableConfig

CLASSES = ["jungle", "sea, coast"]


def group(*rows: tuple[str, int, float]) -> LabeledImages:
    """Images by id, label and probability of that label; -1 for none."""
    probs = [
        [np.nan, np.nan] if label < 0 else [p if k == label else 1 - p for k in range(2)]
        for _, label, p in rows
    ]
    return LabeledImages(
        image_ids=np.array([row[0] for row in rows], object),
        uris=np.array([f"s3://b/{row[0]}" for row in rows], object),
        splits=np.array(["train"] * len(rows), object),
        labels=np.array([row[1] for row in rows], np.int16),
        probs_NK=np.array(probs, np.float32).reshape(-1, 2),
    )


GROUPS = (
    group(("a", 0, 0.75), ('b"x', 1, 1.0)),
    group(("c", -1, 0.0)),
    group(("d", 1, 0.5)),
)


def exported(kind: str) -> pa.Table:
    sink = io.BytesIO()
    EXPORTS[kind](kind=kind).write(iter(GROUPS), CLASSES, sink)
    data = io.BytesIO(sink.getvalue())
    return pacsv.read_csv(data) if kind == "csv" else pq.read_table(data)


@pytest.mark.parametrize("kind", list(EXPORTS))
def test_every_image_is_one_row_with_its_label_by_name(kind: str) -> None:
    table = exported(kind)
    head = ["image_id", "uri", "split", "label", "confidence"]
    assert table.column_names == [*head, "p_jungle", "p_sea, coast"]
    assert table.column("image_id").to_pylist() == ["a", 'b"x', "c", "d"]
    labels = [label or None for label in table.column("label").to_pylist()]
    assert labels == ["jungle", "sea, coast", None, "sea, coast"]
    assert table.column("confidence").to_pylist() == [0.75, 1.0, None, 0.5]
    assert table.column("p_jungle").to_pylist() == [0.75, 0.0, None, 0.5]


FORMULAS = ["=HYPERLINK(1)", "+1", "-a.jpg", "@x", "\t=1", "\uff1d1", "'=1", "''-", "'a", "a=1"]


def written(**settings: object) -> bytes:
    sink = io.BytesIO()
    images = group(*((name, 0, 0.75) for name in FORMULAS))
    EXPORTS["csv"](kind="csv", **settings).write(iter([images]), CLASSES, sink)
    return sink.getvalue()


def test_ids_are_no_formulas_for_a_spreadsheet() -> None:
    rows = list(csv.reader(io.StringIO(written().decode())))[1:]
    assert [row[0] for row in rows] == [f"'{name}" for name in FORMULAS[:8]] + FORMULAS[8:]
    assert [row[1] for row in rows] == [f"s3://b/{name}" for name in FORMULAS]
    as_they_are = list(csv.reader(io.StringIO(written(escape_formulas=False).decode())))[1:]
    assert [row[0] for row in as_they_are] == FORMULAS


def test_what_is_read_back_has_the_ids_of_before(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_bytes(written())
    source = TableConfig(source="table", path=f"{tmp_path}/labels.csv", image_id="image_id")
    assert source.list_images(context()).column("image_id").to_pylist() == FORMULAS


@pytest.mark.parametrize("kind", list(EXPORTS))
def test_a_file_has_the_ending_of_its_kind(kind: str) -> None:
    assert EXPORTS[kind](kind=kind).extension == f".{kind}"
