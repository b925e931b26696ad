"""A few images as labeling functions see them, before any image is fetched.

Metadata are those of the first images; of features there is nothing yet, so they are made up: what
an extractor without a network computes of a drawn picture, and values of a network's types. The
last image has failed in every feature, as one of millions will.
"""

import io
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
from PIL import Image

from wslabel.columns import to_array, to_column
from wslabel.features.decode import decode
from wslabel.features.feature import ImageFeatureConfig
from wslabel.labeling.labeling_function import place_of
from wslabel.storage.table import shard_name
from wslabel.workspace.extractors import Extractor
from wslabel.workspace.workspace import Workspace

IDS = (*(f"made-up image {number}" for number in (1, 2, 3)), "made-up image without features")
"""What messages call the images."""


def made_up_batch(workspace: Workspace, columns: Sequence[str]) -> dict[str, np.ndarray]:
    """Give columns of some images that are not looked at yet.

    Args:
        workspace: Tables of the project, which has images.
        columns: Columns that there will be.
    """
    batch = {"image_id": np.array(IDS, object)}
    extractors = workspace.extractors
    places = {column: place_of(column, extractors) for column in columns}
    features = {feature for feature, _ in places.values() if feature is not None}
    made = {feature: _values(extractors[feature]) for feature in features}
    metadata = [name for feature, name in places.values() if feature is None]
    first = _first_images(workspace, metadata)
    for column, (feature, name) in places.items():
        batch[column] = first[name] if feature is None else made[feature][name]
    return batch


def _first_images(workspace: Workspace, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Read metadata of the first images, over and over where there are fewer than wanted."""
    images = workspace.images.read(shard_name(workspace.shards[0]), ["image_id", *names])
    rows = pa.array(np.arange(len(IDS)) % images.num_rows)
    return {name: to_array(images.column(name).take(rows)) for name in names}


def _values(extractor: Extractor) -> dict[str, np.ndarray]:
    good = np.arange(len(IDS) - 1)
    if isinstance(extractor.settings, ImageFeatureConfig):
        values = extractor.settings.compute(decode(_picture(), 2**16))
    else:
        values = [_value(field) for field in extractor.columns]
    return {
        field.name: to_array(to_column([value] * len(good), good, len(IDS), field))
        for field, value in zip(extractor.columns, values, strict=True)
    }


def _picture() -> bytes:
    sink = io.BytesIO()
    pixels_HW3 = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    Image.fromarray(pixels_HW3).save(sink, "JPEG")
    return sink.getvalue()


def _value(field: pa.Field) -> object:
    """Make up what a network might say: the first categories, shares, a vector of length one."""
    kind = field.type
    if not pa.types.is_fixed_size_list(kind):
        return SCALARS.get(kind)
    if pa.types.is_integer(kind.value_type):
        return np.arange(kind.list_size)
    falling = np.linspace(1.0, 0.5, kind.list_size)
    return falling / (np.linalg.norm(falling) if field.name == "embedding" else falling.sum())


SCALARS: Mapping[pa.DataType, object] = {
    **dict.fromkeys((pa.int8(), pa.int16(), pa.int32(), pa.int64()), 0),
    **dict.fromkeys((pa.float32(), pa.float64()), 0.5),
    pa.string(): "made up",
    pa.bool_(): False,
}
"""A value of each type that a network may write; of others there is none."""
