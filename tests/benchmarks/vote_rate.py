"""Images/s per core of the vote job: a million images, Parquet to Parquet.

The vectors of prompts and words are constants of the workspace, made before; the start of the
workers counts.
"""

import tempfile
import time
from pathlib import Path
from typing import Any

from tests.benchmarks.million import NUM_IMAGES, SHARD, fill, project
from wslabel import pipeline
from wslabel.engine.cluster import Resources, connect
from wslabel.engine.plan import plan
from wslabel.engine.tasks import run_tasks
from wslabel.project.project import Project
from wslabel.stages.vote import Vote
from wslabel.storage.table import GROUP_SIZE
from wslabel.workspace.workspace import Workspace


def measure() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        made = project(Path(name))
        fill(made)
        assert not Workspace(made).lacking()
        start = time.perf_counter()
        assert Workspace(made).court.applier.functions  # embeds prompts and words
        first = time.perf_counter() - start
        resources = connect(made.engine)
        start = time.perf_counter()
        outcome = pipeline.vote(made)
        seconds = time.perf_counter() - start
        marginal = _marginal(made, resources)
    assert outcome.num_images >= NUM_IMAGES
    rate = outcome.num_images / seconds / resources.cpus
    detail = {
        "images": outcome.num_images,
        "seconds": seconds,
        "cores": resources.cpus,
        "after_start_up": marginal,
        "constants_s": first,
    }
    return {"value": rate, "unit": "images/s per core", "detail": detail}


def _marginal(made: Project, resources: Resources) -> float:
    """Vote once more elsewhere and leave out the time until the first results."""
    tables = Workspace(made)
    folders = {name: tables.extractors[name].folder for name in tables.voting_features}
    step = Vote(tables.location, tables.court.applier, folders | {"": "images"}, "votes/again")
    works = tables.votes.works
    pools = plan(resources, made.engine, num_items=len(works), uses_gpu=False)
    ends = [time.perf_counter() for _ in run_tasks(step, works, pools)]
    num_images = (len(works) - pools.actors) * GROUP_SIZE * SHARD
    return num_images / (ends[-1] - ends[pools.actors - 1]) / resources.cpus
