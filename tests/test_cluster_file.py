"""`cluster.yaml` is a cluster that Ray's own launcher would start, and no stranger can use."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from moto import mock_aws
from ray.autoscaler._private.aws.config import bootstrap_aws
from ray.autoscaler._private.aws.node_provider import AWSNodeProvider
from ray.autoscaler._private.util import prepare_config, validate_config

from tests.access import GROUP, make_stack
from wslabel.engine.memory import ENVIRONMENT

CLUSTER = Path(__file__).parents[1] / "cluster.yaml"


def cluster_file(group: str = GROUP) -> dict[str, Any]:
    """What the launcher makes of the file, before it asks AWS."""
    prepared: dict[str, Any] = prepare_config(
        yaml.safe_load(CLUSTER.read_text().replace(GROUP, group))
    )
    return prepared


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """An account without anything but its network; keys that the launcher makes go to a folder."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("HOME", str(tmp_path))
    with mock_aws():
        yield boto3.client("ec2")


def test_it_passes_rays_own_validator() -> None:
    validate_config(cluster_file())


def test_workers_keep_freed_memory_as_on_a_laptop() -> None:
    command = cluster_file()["worker_start_ray_commands"][-1]
    for name, value in ENVIRONMENT.items():
        assert f"{name}={value}" in command


def test_head_and_workers_ask_for_the_token() -> None:
    cluster = cluster_file()
    for kind in ("head", "worker"):
        start = cluster[f"{kind}_start_ray_commands"][-1]
        assert start.startswith("RAY_AUTH_MODE=token ")
        assert "ray start" in start
    assert cluster["file_mounts"]["/home/ubuntu/.ray/auth_token"] == "~/.ray/auth_token"
    assert "RAY_AUTH_TOKEN" not in CLUSTER.read_text()
    assert "--dashboard-host=127.0.0.1" in cluster["head_start_ray_commands"][-1]


def test_every_machine_installs_what_the_lock_names_and_nothing_else() -> None:
    cluster = cluster_file()
    for kind in ("head", "worker"):
        commands = cluster[f"{kind}_setup_commands"]
        assert not [command for command in commands if "pip install" in command]
        assert [command for command in commands if "make install" in command]


@pytest.mark.parametrize("kind", ["head", "cpu", "gpu"])
def test_a_machine_has_a_role_of_its_kind_and_is_closed(aws: Any, kind: str) -> None:
    group = make_stack(aws)
    cluster = bootstrap_aws(cluster_file(group))
    provider = AWSNodeProvider(cluster["provider"], cluster["cluster_name"])
    node = cluster["available_node_types"][kind]["node_config"]
    provider.create_node(node, {"ray-node-type": "worker", "ray-launch-config": "x"}, 1)
    machine = aws.describe_instances()["Reservations"][0]["Instances"][0]
    profile = machine["IamInstanceProfile"]["Arn"].rpartition("/")[2]
    assert profile == ("wslabel-head" if kind == "head" else "wslabel-worker")
    assert machine["MetadataOptions"]["HttpTokens"] == "required"
    assert machine["MetadataOptions"]["HttpPutResponseHopLimit"] == 1
    assert [found["GroupId"] for found in machine["SecurityGroups"]] == [group]
    assert all(disk["Ebs"]["DeleteOnTermination"] for disk in machine["BlockDeviceMappings"])
    disks = aws.describe_volumes()["Volumes"]
    assert disks
    assert all(disk["Encrypted"] for disk in disks)


def test_without_a_group_of_its_own_nothing_starts(aws: Any) -> None:
    before = aws.describe_security_groups()["SecurityGroups"]
    with pytest.raises(AssertionError):
        bootstrap_aws(cluster_file())
    assert aws.describe_security_groups()["SecurityGroups"] == before
