"""Measure in which precision each network runs fastest without changing what it says."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from wslabel.config.engine import Engine
from wslabel.config.fingerprint import fingerprint
from wslabel.config.preprocess import Preprocess
from wslabel.engine.execute import run_once
from wslabel.engine.progress import showing
from wslabel.errors import TooManyErrors
from wslabel.stages.featurize.prepare import blaming
from wslabel.stages.featurize.step import FEW_ERRORS, FeaturizeStep, mini_batch
from wslabel.storage import files
from wslabel.storage.table import Table, shard_name
from wslabel.workspace.extractors import Extractor, input_kind, input_kinds

PROBE_SIZE = 128
"""Images that precisions are compared on."""

FEW_IMAGES = 4 * PROBE_SIZE
"""So few images are done in float32 before measuring would have paid."""


@dataclass(frozen=True)
class Known:
    """What is known before anything is measured.

    Attributes:
        precisions: Precisions that were measured before on a machine of this kind, by feature.
        probes: Images to measure the other features with, by kind of input.
    """

    precisions: Mapping[str, str]
    probes: Mapping[Preprocess, np.ndarray] = field(default_factory=dict)


def choose(
    engine: Engine, step: FeaturizeStep, extractors: Sequence[Extractor], num_images: int
) -> dict[str, str]:
    """Choose the precision of each network on the device that will run it, showing progress.

    Args:
        engine: What the project file says of the cluster.
        step: Reads images and loads networks.
        extractors: Networks whose precision is open.
        num_images: Images that there are.

    Raises:
        TooManyErrors: None of the first images can be decoded.
    """
    if num_images <= FEW_IMAGES:
        return dict.fromkeys((extractor.name for extractor in extractors), "float32")
    chosen: dict[str, str] = {}
    with showing("precision", len(extractors)) as show:
        known = run_once(engine, partial(look_up, step, extractors, 0), uses_gpu=True)
        for extractor in extractors:
            name, precision = extractor.name, known.precisions.get(extractor.name)
            if precision is None:
                probe = known.probes[_input(extractor)]
                action = partial(measure, step, extractor, probe, num_images)
                precision = run_once(engine, action, uses_gpu=True)
            chosen[name] = precision
            show.step(f"{name} in {precision}")
    return chosen


def look_up(step: FeaturizeStep, extractors: Sequence[Extractor], shard: int) -> Known:
    """Look up what was measured before, and prepare the first images of a shard for the rest.

    Raises:
        TooManyErrors: None of them can be decoded.
    """
    from wslabel.networks import inference  # noqa: PLC0415 - loads torch

    if not inference.lower_precisions():
        return Known({extractor.name: "float32" for extractor in extractors})
    found = {e.name: files.remembered(_key(e, step)) for e in extractors}
    precisions = {name: precision for name, precision in found.items() if precision is not None}
    unknown = [extractor for extractor in extractors if extractor.name not in precisions]
    return Known(precisions, _probes(step, unknown, shard) if unknown else {})


def measure(step: FeaturizeStep, extractor: Extractor, probe: np.ndarray, num_images: int) -> str:
    """Choose the precision of a network on this device, and remember what hangs on that alone."""
    from wslabel.networks import inference  # noqa: PLC0415 - loads torch

    with blaming(extractor.name):
        choice = inference.choose_precision(
            partial(_outputs, step, extractor),
            probe,
            size=mini_batch(extractor, step.batch_size),
            num_images=num_images,
            lower=inference.lower_precisions(),
        )
    if choice.is_measured:
        files.remember(_key(extractor, step), choice.precision)
    return choice.precision


def _key(extractor: Extractor, step: FeaturizeStep) -> str:
    from wslabel.networks import inference  # noqa: PLC0415 - loads torch

    size = mini_batch(extractor, step.batch_size)
    return fingerprint("precision", inference.machine(), extractor.identity, size)


def _probes(
    step: FeaturizeStep, extractors: Sequence[Extractor], shard: int
) -> dict[Preprocess, np.ndarray]:
    inputs = input_kinds(extractors)
    images = Table(step.location, "images").read(shard_name(shard), ["uri"])
    uris = images.column("uri").to_pylist()[: PROBE_SIZE + FEW_ERRORS]
    prepared = step.prepare_all(step.preparer((), inputs), uris, isolated=False)
    good = [image.inputs for image in prepared if image.error is None][:PROBE_SIZE]
    if not good:
        kinds = sorted({str(image.error) for image in prepared})
        raise TooManyErrors(
            f"none of the first {len(uris)} images of shard {shard} can be decoded "
            f"({', '.join(kinds)})"
        )
    return {kind: np.stack([image[i] for image in good]) for i, kind in enumerate(inputs)}


def _input(extractor: Extractor) -> Preprocess:
    assert extractor.info is not None
    return input_kind(extractor.info.preprocess)


def _outputs(
    step: FeaturizeStep, extractor: Extractor, precision: str
) -> Callable[[np.ndarray], np.ndarray]:
    return extractor.with_precision(precision).load(step.weights_s3).outputs
