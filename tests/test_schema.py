"""The nouns: plain types, one row per image, names that metadata must not take."""

import pyarrow as pa
import pytest

from wslabel import schema
from wslabel.config.preprocess import Preprocess
from wslabel.features.model_info import ModelInfo
from wslabel.features.registry import FEATURES

INFO = ModelInfo(Preprocess(), ("a", "b", "c", "d", "e"), 8)
FEATURE_TABLES = {
    name: schema.feature_table(FEATURES[name].model_validate({"kind": name}).columns(INFO))
    for name in FEATURES
}
TABLES = FEATURE_TABLES | {
    "images": schema.IMAGES,
    "votes": schema.votes(["mean", "blue"]),
    "labels": schema.labels(3),
    "predictions": schema.predictions(3),
    "pseudo_labels": schema.pseudo_labels(3),
}


def vector(fields: pa.Schema, name: str) -> tuple[pa.DataType, int]:
    """What a column's vectors are made of, and how many of it."""
    kind = fields.field(name).type
    assert pa.types.is_fixed_size_list(kind)
    return kind.value_type, kind.list_size


@pytest.mark.parametrize("name", TABLES)
def test_every_table_begins_with_the_image(name: str) -> None:
    first = TABLES[name].field(0)
    assert (first.name, first.type, first.nullable) == ("image_id", pa.string(), False)


@pytest.mark.parametrize("name", TABLES)
def test_no_column_stands_twice(name: str) -> None:
    assert len(set(TABLES[name].names)) == len(TABLES[name].names)


@pytest.mark.parametrize("name", TABLES)
def test_types_are_plain(name: str) -> None:
    for field in TABLES[name]:
        inner = field.type
        if pa.types.is_fixed_size_list(inner):
            inner = inner.value_type
        assert pa.types.is_primitive(inner) or inner in (pa.string(), pa.binary())


@pytest.mark.parametrize("kind", FEATURE_TABLES)
def test_every_row_of_a_feature_is_accounted_for(kind: str) -> None:
    fields = TABLES[kind]
    assert fields.names[-1] == "error"
    assert all(field.nullable for field in list(fields)[1:])  # a failed image has nulls


def test_a_vote_is_never_null() -> None:
    votes = schema.votes(["mean", "blue"])
    assert votes.names == ["image_id", "mean", "blue"]
    assert all(not field.nullable and field.type == pa.int8() for field in list(votes)[1:])
    assert pa.scalar(schema.ABSTAIN, pa.int8()).as_py() == -1


def test_labels_stand_beside_the_majoritys() -> None:
    labels = schema.labels(3)
    assert vector(labels, "probabilities") == (pa.float32(), 3)
    assert labels.field("label").type == labels.field("majority_label").type == pa.int16()
    assert labels.field("probabilities").nullable  # an image without any vote keeps its row


def test_names_of_ours_are_reserved() -> None:
    assert sorted(schema.RESERVED) == [
        *("error", "image_id", "modified_at", "num_bytes"),
        *("split", "truth", "truth_absent", "uri"),
    ]
    assert schema.TRUTH in schema.RESERVED


def test_kinds_of_errors_are_words_with_a_meaning() -> None:
    assert all(kind.isidentifier() and text for kind, text in schema.ERROR_KINDS.items())
