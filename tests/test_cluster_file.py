"""`cluster.yaml` is a cluster that Ray's own launcher would start."""

import json
from pathlib import Path

import jsonschema
import ray.autoscaler
import yaml

from wslabel.engine.memory import ENVIRONMENT

CLUSTER = Path(__file__).parents[1] / "cluster.yaml"


def test_it_passes_rays_own_schema() -> None:
    schema = json.loads((Path(ray.autoscaler.__file__).parent / "ray-schema.json").read_text())
    jsonschema.validate(yaml.safe_load(CLUSTER.read_text()), schema)


def test_workers_keep_freed_memory_as_on_a_laptop() -> None:
    command = yaml.safe_load(CLUSTER.read_text())["worker_start_ray_commands"][-1]
    for name, value in ENVIRONMENT.items():
        assert f"{name}={value}" in command
