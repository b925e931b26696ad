"""Measure in which precision each network runs fastest without changing what it says."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from wslabel.errors import TooManyErrors
from wslabel.stages.featurize.prepare import blaming
from wslabel.stages.featurize.step import FEW_ERRORS, FeaturizeStep, mini_batch
from wslabel.storage.table import Table, shard_name
from wslabel.workspace.extractors import Extractor, input_kind, input_kinds


def measure(step: FeaturizeStep, extractors: Sequence[Extractor], shard: int) -> dict[str, str]:
    """Choose the precision of each network on this device, on the first images of a shard.

    Raises:
        TooManyErrors: None of them can be decoded.
    """
    from wslabel.networks.inference import PROBE_SIZE, choose_precision  # noqa: PLC0415 - torch

    inputs = input_kinds(extractors)
    images = Table(step.location, "images").read(shard_name(shard), ["uri"])
    uris = images.column("uri").to_pylist()[: PROBE_SIZE + FEW_ERRORS]
    prepared = step.prepare_all(step.preparer((), inputs), uris, isolated=True)
    good = [image.inputs for image in prepared if image.error is None][:PROBE_SIZE]
    if not good:
        kinds = sorted({str(image.error) for image in prepared})
        raise TooManyErrors(
            f"none of the first {len(uris)} images of shard {shard} can be decoded "
            f"({', '.join(kinds)})"
        )
    precisions = {}
    for extractor in extractors:
        assert extractor.info is not None
        index = inputs.index(input_kind(extractor.info.preprocess))
        probe = np.stack([image[index] for image in good])
        outputs = partial(_outputs, step, extractor)
        size = mini_batch(extractor, step.batch_size)
        with blaming(extractor.name):
            precisions[extractor.name] = choose_precision(outputs, probe, size)
    return precisions


def _outputs(
    step: FeaturizeStep, extractor: Extractor, precision: str
) -> Callable[[np.ndarray], np.ndarray]:
    return extractor.with_precision(precision).load(step.weights_s3).outputs
