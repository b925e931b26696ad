"""Images/s per core of the vote job: a million images, Parquet to Parquet.

The vectors of prompts and words are constants of the workspace, made before; the start of the
workers counts.
"""

import tempfile
import time
from pathlib import Path
from typing import Any

from tests.benchmarks.million import NUM_IMAGES, SHARD, fill, project
from wslabel.engine import tasks
from wslabel.engine.cluster import connect
from wslabel.engine.plan import Resources, plan
from wslabel.project.project import Project
from wslabel.stages import vote
from wslabel.stages.vote import VoteStep
from wslabel.storage.table import GROUP_SIZE
from wslabel.workspace.batches import batch_reader
from wslabel.workspace.workspace import Workspace


def measure() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        made = project(Path(name))
        fill(made)
        assert not Workspace(made).missing_shards()
        start = time.perf_counter()
        assert Workspace(made).functions.applier.functions  # embeds prompts and words
        first = time.perf_counter() - start
        resources = connect()
        start = time.perf_counter()
        result = vote.run(Workspace(made))
        seconds = time.perf_counter() - start
        marginal = _marginal(made, resources)
    assert result.num_images >= NUM_IMAGES
    rate = result.num_images / seconds / resources.cpus
    detail = {
        "images": result.num_images,
        "seconds": seconds,
        "cores": resources.cpus,
        "after_start_up": marginal,
        "constants_s": first,
    }
    return {"value": rate, "unit": "images/s per core", "detail": detail}


def _marginal(made: Project, resources: Resources) -> float:
    """Vote once more elsewhere and leave out the time until the first results."""
    workspace = Workspace(made)
    step = VoteStep(
        location=workspace.location,
        applier=workspace.functions.applier,
        reader=batch_reader(workspace, workspace.functions.applier.reads),
        output="votes/again",
    )
    items = workspace.votes.items
    pools = plan(resources, made.engine, num_items=len(items), uses_gpu=False, is_split=False)
    ends = [time.perf_counter() for _ in tasks.run(step, items, pools)]
    num_images = (len(items) - pools.actors) * GROUP_SIZE * SHARD
    return num_images / (ends[-1] - ends[pools.actors - 1]) / resources.cpus
