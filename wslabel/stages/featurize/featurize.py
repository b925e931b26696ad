"""Featurize: run all extractors over the shards that lack them."""

import time
import uuid
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import ClassVar

from wslabel.engine.execute import execute_split
from wslabel.errors import ConfigError, nearest
from wslabel.features.decoder import decoder_of
from wslabel.schema import ERROR_KINDS
from wslabel.stages.featurize.precision import choose
from wslabel.stages.featurize.step import FeaturizeStep
from wslabel.stages.result import StageResult, total_images
from wslabel.storage.table import shard_name
from wslabel.workspace.requirements import require_images
from wslabel.workspace.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class FeaturizeResult(StageResult):
    """Features that were made, and images that failed."""

    stage: ClassVar[str] = "featurize"


def run(workspace: Workspace, retry: Collection[str] = ()) -> FeaturizeResult:
    """Run all extractors over the shards that lack them, each image fetched and decoded once.

    Args:
        workspace: Tables of the project.
        retry: Error kinds whose images are taken up again, in a new generation of their shards.

    Raises:
        TooManyErrors: Too large a share of the images failed.
        WorkLeft: Storage failed transiently for some shards, or images of theirs were not reached.
    """
    refuse_unknown_kinds(retry)
    start = time.monotonic()
    workspace = settle_precisions(workspace)
    items = workspace.missing_shards(frozenset(retry))
    uses_gpu = any(extractor.is_network for extractor in workspace.extractors.values())
    step, engine = featurize_step(workspace), workspace.project.engine
    results = list(execute_split(engine, "featurize", step, items, uses_gpu=uses_gpu))
    errors = sum((Counter(result.errors) for result in results), Counter[str]())
    return FeaturizeResult(
        made=len(results),
        total=len(workspace.shards),
        num_images=total_images(results),
        errors=dict(errors),
        seconds=time.monotonic() - start,
    )


def refuse_unknown_kinds(retry: Collection[str]) -> None:
    """Refuse error kinds that do not exist.

    Raises:
        ConfigError: Names the nearest kind.
    """
    for kind in retry:
        if kind not in ERROR_KINDS:
            raise ConfigError(f"there is no error kind '{kind}'; {nearest(kind, ERROR_KINDS)}")


def featurize_step(workspace: Workspace) -> FeaturizeStep:
    """Make the step for all features of a project."""
    project, engine = workspace.project, workspace.project.engine
    return FeaturizeStep(
        location=workspace.location,
        images_s3=project.images.s3 or project.s3,
        allowed=project.images.allowed(workspace.location.root),
        weights_s3=project.s3,
        extractors=tuple(workspace.extractors.values()),
        fetch_threads=engine.fetch_threads,
        max_image_bytes=engine.max_image_bytes,
        max_fetched_bytes=engine.max_fetched_bytes,
        decoder=decoder_of(engine),
        batch_size=engine.batch_size,
        max_error_share=engine.max_error_share,
        max_attempts=engine.max_attempts,
        run=uuid.uuid4().hex,
    )


def _count(workspace: Workspace) -> int:
    names = [shard_name(shard) for shard in workspace.shards]
    footers = workspace.location.read_many(names, workspace.images.footer)
    return sum(footer.num_rows for footer in footers)


def settle_precisions(workspace: Workspace) -> Workspace:
    """Measure each network whose precision is open, once per workspace; look at it anew then.

    Raises:
        SourceError: There are no images to measure with.
    """
    require_images(workspace)
    still_open = [e for e in workspace.extractors.values() if e.is_open]
    if not still_open:
        return workspace
    engine, step = workspace.project.engine, featurize_step(workspace)
    precisions = choose(engine, step, still_open, _count(workspace))
    for extractor in still_open:
        workspace.constants.keep(f"precision-{extractor.identity}", precisions[extractor.name])
    return workspace.anew()
