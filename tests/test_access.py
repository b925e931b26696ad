"""Roles and the security group of `configs/aws/access.yaml` allow what a cluster needs, no more."""

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import boto3
import pytest
from moto import mock_aws
from moto.iam.policy_validation import IAMPolicyDocumentValidator
from moto.server import ThreadedMotoServer

from tests.access import STACK, allows, make_stack, statements
from tests.conftest import paint, tiny_config, write_config
from wslabel import pipeline
from wslabel.project.loading import load
from wslabel.storage.location import Location
from wslabel.workspace.workspace import Workspace

ARN = "arn:aws:ec2:us-east-1:123456789012"


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, str]]:
    """A pretended account with the stack in it, and the stack's security group."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        ec2 = boto3.client("ec2")
        yield ec2, make_stack(ec2)


def test_ssh_comes_from_one_address_and_the_rest_from_the_group(account: tuple[Any, str]) -> None:
    ec2, group = account
    (found,) = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"]
    inside, ssh = sorted(found["IpPermissions"], key=lambda rule: str(rule["IpProtocol"]))
    assert (ssh["FromPort"], ssh["ToPort"]) == (22, 22)
    assert ssh["IpRanges"] == [{"CidrIp": "203.0.113.7/32"}]
    assert not ssh["UserIdGroupPairs"]
    assert inside["IpProtocol"] == "-1"
    assert [pair["GroupId"] for pair in inside["UserIdGroupPairs"]] == [group]
    assert not inside["IpRanges"]


def test_the_whole_world_is_no_address() -> None:
    pattern = re.search(r"AllowedPattern: '(.*)'", STACK.read_text())
    assert pattern is not None
    assert re.fullmatch(pattern[1], "203.0.113.7/32")
    assert not re.fullmatch(pattern[1], "0.0.0.0/0")


@pytest.mark.parametrize("profile", ["wslabel-head", "wslabel-worker"])
def test_policies_are_such_as_aws_takes(account: tuple[Any, str], profile: str) -> None:
    document = {"Version": "2012-10-17", "Statement": statements(profile)}
    IAMPolicyDocumentValidator(json.dumps(document)).validate()


def test_a_worker_may_use_images_and_workspace_and_nothing_else(account: tuple[Any, str]) -> None:
    allowed = statements("wslabel-worker")
    assert allows(allowed, "s3:GetObject", "arn:aws:s3:::photos/a/b.jpg")
    assert allows(allowed, "s3:PutObject", "arn:aws:s3:::tables/sea-jungle/images/0.parquet")
    for action, place in (
        ("s3:PutObject", "photos/a.jpg"),
        ("s3:DeleteObject", "photos/a.jpg"),
        ("s3:GetObject", "tables/other/images/0.parquet"),
        ("s3:GetObject", "tables/sea-jungle-2/images/0.parquet"),
        ("s3:GetObject", "elsewhere/a"),
        ("s3:PutBucketPolicy", "tables"),
        ("s3:PutObjectAcl", "tables/sea-jungle/a"),
    ):
        assert not allows(allowed, action, f"arn:aws:s3:::{place}"), (action, place)
    assert not allows(allowed, "s3:ListBucket", "arn:aws:s3:::tables", s3_prefix="other/")
    assert {action.partition(":")[0] for s in allowed for action in _actions(s)} == {"s3"}


def _actions(statement: dict[str, Any]) -> list[str]:
    actions = statement["Action"]
    return [actions] if isinstance(actions, str) else actions


def test_a_head_may_start_and_end_workers_of_its_own_cluster_alone(
    account: tuple[Any, str],
) -> None:
    _, group = account
    allowed = statements("wslabel-head")
    worker = {
        "aws_RequestTag_ray_cluster_name": "wslabel",
        "ec2_MetadataHttpTokens": "required",
        "ec2_MetadataHttpPutResponseHopLimit": "1",
        "ec2_InstanceProfile": "arn:aws:iam::123456789012:instance-profile/wslabel-worker",
    }
    run = "ec2:RunInstances"
    assert allows(allowed, run, f"{ARN}:instance/*", **worker)
    strong = "arn:aws:iam::123456789012:instance-profile/admin"
    for wrong in (
        {"aws_RequestTag_ray_cluster_name": "other"},
        {"ec2_MetadataHttpTokens": "optional"},
        {"ec2_MetadataHttpPutResponseHopLimit": "2"},
        {"ec2_InstanceProfile": strong},
    ):
        assert not allows(allowed, run, f"{ARN}:instance/*", **(worker | wrong)), wrong
    assert allows(allowed, run, f"{ARN}:security-group/{group}")
    assert not allows(allowed, run, f"{ARN}:security-group/sg-1")
    assert allows(allowed, run, f"{ARN}:volume/*", ec2_Encrypted="true")
    assert not allows(allowed, run, f"{ARN}:volume/*", ec2_Encrypted="false")
    end = "ec2:TerminateInstances"
    assert allows(allowed, end, f"{ARN}:instance/i-1", aws_ResourceTag_ray_cluster_name="wslabel")
    assert not allows(allowed, end, f"{ARN}:instance/i-1", aws_ResourceTag_ray_cluster_name="b")
    assert not allows(allowed, "ec2:CreateTags", f"{ARN}:instance/i-1")


def test_a_head_may_give_the_role_of_workers_and_no_other(account: tuple[Any, str]) -> None:
    iam = boto3.client("iam")
    allowed = statements("wslabel-head")
    for profile, is_allowed in (("wslabel-worker", True), ("wslabel-head", False)):
        (role,) = iam.get_instance_profile(InstanceProfileName=profile)["InstanceProfile"]["Roles"]
        service = {"iam_PassedToService": "ec2.amazonaws.com"}
        assert allows(allowed, "iam:PassRole", role["Arn"], **service) == is_allowed
    assert [a for s in allowed for a in _actions(s) if a.startswith("iam:")] == ["iam:PassRole"]


@pytest.fixture
def requests_to_s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, list[str]]]:
    """An S3 server with two buckets, and the lines of its log."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    log = logging.getLogger("werkzeug")
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=True)
    server.start()
    host, port = server.get_host_and_port()
    client = boto3.client("s3", endpoint_url=f"http://{host}:{port}")
    for bucket in ("photos", "tables"):
        client.create_bucket(Bucket=bucket)
    yield f"http://{host}:{port}", lines
    server.stop()
    log.removeHandler(handler)
    log.setLevel(logging.NOTSET)


def rights(method: str, target: str, answer: str) -> list[tuple[str, str, dict[str, str]]]:
    """The actions, resources and contexts that S3 asks a policy about for one request."""
    parts = urlsplit(target)
    query = parse_qs(parts.query, keep_blank_values=True)
    bucket, _, key = unquote(parts.path).lstrip("/").partition("/")
    place = f"arn:aws:s3:::{bucket}"
    if not key:
        assert method in ("GET", "HEAD"), (method, target)
        prefix = {"s3_prefix": query["prefix"][0]} if "prefix" in query else {}
        return [("s3:ListBucket", place, prefix)]
    if method in ("GET", "HEAD"):
        asked = [("s3:GetObject", f"{place}/{key}", dict[str, str]())]
        # What is not there is told only to whom may list the bucket.
        return asked + ([("s3:ListBucket", place, {})] if answer == "404" else [])
    ending = "s3:AbortMultipartUpload" if "uploadId" in query else "s3:DeleteObject"
    action = {"PUT": "s3:PutObject", "POST": "s3:PutObject", "DELETE": ending}[method]
    return [(action, f"{place}/{key}", {})]


def test_all_that_wslabel_asks_of_s3_is_allowed(
    requests_to_s3: tuple[str, list[str]], tmp_path: Path
) -> None:
    endpoint, lines = requests_to_s3
    client = boto3.client("s3", endpoint_url=endpoint)
    for index in range(9):
        kind, folder = (("sea", "coast"), ("jungle", "forest"))[index % 2]
        paint(tmp_path / "photo.jpg", kind, index)
        client.upload_file(str(tmp_path / "photo.jpg"), "photos", f"p/{folder}/{index}.jpg")
    lines.clear()
    config = tiny_config(tmp_path, workspace="s3://tables/sea-jungle", s3={"endpoint": endpoint})
    config["images"] |= {"path": "s3://photos/p", "s3": {"endpoint": endpoint}}
    project = load(write_config(tmp_path / "p.yaml", config))
    for _ in range(2):
        list(pipeline.run(project, until="ingest"))
    location: Location = Workspace(project).location
    location.create("large", bytes(65 << 20))
    location.replace("large", b"small")
    location.delete("large")
    said = re.compile(r"(GET|PUT|POST|HEAD|DELETE) (\S+) HTTP/1\.1.* (\d{3}) -$")
    asked = [found.groups() for line in lines if (found := said.search(line))]
    assert len(asked) == len(lines)
    assert {method for method, _, _ in asked} == {"GET", "HEAD", "PUT", "POST", "DELETE"}
    with mock_aws():
        make_stack(boto3.client("ec2"))
        allowed = statements("wslabel-worker")
    for request in asked:
        for action, resource, context in rights(*request):
            assert allows(allowed, action, resource, **context), (request, action)
