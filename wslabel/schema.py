"""The columns of every table: the nouns of the system.

Row i of shard s is the same image in every table. Types are plain Arrow, so that any Parquet
reader opens them. Column names of ours that metadata must not take are in `RESERVED`.
"""

from collections.abc import Iterable

import pyarrow as pa

ABSTAIN = -1
"""The vote of a labeling function that has no opinion."""

SPLITS = ("train", "val", "test")

IMAGE_ID = pa.field("image_id", pa.string(), nullable=False)
ERROR = pa.field("error", pa.string())
"""Null, or the kind of error that keeps an image from ever having this feature."""

ERROR_KINDS = {
    "missing": "there is no object at the uri",
    "denied": "the object may not be read",
    "not_an_image": "the bytes are no image that can be decoded, or of a format that is not opened",
    "too_large": "the image has more pixels than engine.max_pixels allows, more bytes than "
    "engine.max_image_bytes, or needs more memory than there is",
    "changed": "the object has another size than when it was ingested",
    "unreachable": "nobody answered for the object in any of engine.max_attempts runs",
    "crashed": "decoding the image, or the code of a feature, killed its process, twice",
    "timed_out": "the image was not decoded within engine.decode_timeout_s",
}

IMAGES = pa.schema(
    [
        IMAGE_ID,
        pa.field("uri", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("truth", pa.string()),
    ]
)
"""The manifest, before its metadata columns; `truth` is a class name or null."""

NUM_BYTES = pa.field("num_bytes", pa.int64())
MODIFIED_AT = pa.field("modified_at", pa.timestamp("us", "UTC"))
"""Size and time of change of an image's file when it was ingested, where the source knows them."""

TRUTH = "truth"
TRUTH_ABSENT = pa.field("truth_absent", pa.list_(pa.string()))
"""Classes that people verified an image not to show, where a source knows; truth, locked away."""

RESERVED = frozenset(IMAGES.names) | {
    "error",
    TRUTH_ABSENT.name,
    NUM_BYTES.name,
    MODIFIED_AT.name,
}


def vector(element: pa.DataType, size: int) -> pa.DataType:
    """Type of a fixed-size list whose elements are never null, which halves the time to read it."""
    return pa.list_(pa.field("item", element, nullable=False), size)


def embedding(dim: int) -> pa.Field:
    """Column of one vector per image, stored as float16."""
    return pa.field("embedding", vector(pa.float16(), dim))


def feature_table(columns: pa.Schema) -> pa.Schema:
    """Frame the columns of one extractor as a table of their own."""
    return pa.schema([IMAGE_ID, *columns, ERROR])


def votes(names: Iterable[str]) -> pa.Schema:
    """One integer column per labeling function: a class id or ABSTAIN."""
    return pa.schema([IMAGE_ID, *(pa.field(name, pa.int8(), nullable=False) for name in names)])


def labels(num_classes: int) -> pa.Schema:
    """Soft and hard label of the label model and, beside it, of the majority vote."""
    soft = vector(pa.float32(), num_classes)
    return pa.schema(
        [
            IMAGE_ID,
            pa.field("probabilities", soft),
            pa.field("label", pa.int16()),
            pa.field("majority_probabilities", soft),
            pa.field("majority_label", pa.int16()),
        ]
    )


def predictions(num_classes: int) -> pa.Schema:
    """What a trained network says; null where its input is missing."""
    soft = vector(pa.float32(), num_classes)
    return pa.schema([IMAGE_ID, pa.field("probabilities", soft), pa.field("label", pa.int16())])


def pseudo_labels(num_classes: int) -> pa.Schema:
    """Labels that a round of self-training corrected, what was predicted, and who was chosen."""
    soft = vector(pa.float32(), num_classes)
    return pa.schema(
        [
            IMAGE_ID,
            pa.field("probabilities", soft),
            pa.field("label", pa.int16()),
            pa.field("predicted", soft),
            pa.field("is_chosen", pa.bool_(), nullable=False),
        ]
    )
