"""The access of a cluster on AWS: the stack made, and what its policies allow."""

import json
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import boto3

STACK = Path(__file__).parents[1] / "configs" / "aws" / "access.yaml"
GROUP = "sg-00000000000000000"
"""What `cluster.yaml` names until somebody names a group."""
PARAMETERS = {
    "Address": "203.0.113.7/32",
    "Images": "photos",
    "Workspace": "tables",
    "Prefix": "sea-jungle",
}


def make_stack(ec2: Any) -> str:
    """Make the stack in a pretended account; gives its security group."""
    values = PARAMETERS | {"Vpc": ec2.describe_vpcs()["Vpcs"][0]["VpcId"]}
    client = boto3.client("cloudformation")
    client.create_stack(
        StackName="wslabel",
        TemplateBody=STACK.read_text(),
        Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in values.items()],
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    stack = client.describe_stacks(StackName="wslabel")["Stacks"][0]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    group: str = stack["Outputs"][0]["OutputValue"]
    return group


def statements(profile: str) -> list[dict[str, Any]]:
    """Everything that the role of an instance profile may do."""
    iam = boto3.client("iam")
    (role,) = iam.get_instance_profile(InstanceProfileName=profile)["InstanceProfile"]["Roles"]
    assert not iam.list_role_policies(RoleName=role["RoleName"])["PolicyNames"]
    found = []
    for policy in iam.list_attached_role_policies(RoleName=role["RoleName"])["AttachedPolicies"]:
        arn = policy["PolicyArn"]
        version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        document = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]
        found += json.loads(json.dumps(document["Document"]))["Statement"]
    return found


def allows(
    allowed: Iterable[Mapping[str, Any]], action: str, resource: str, **context: str
) -> bool:
    """Tell whether statements, all of them of effect Allow, allow one action on one resource.

    Args:
        allowed: The statements.
        action: As s3:GetObject.
        resource: Its ARN.
        context: Values of the request, where the key's colon and slash are underlines.
    """
    return any(
        statement["Effect"] == "Allow"
        and _any_matches(statement["Action"], action)
        and _any_matches(statement["Resource"], resource)
        and _holds(statement.get("Condition", {}), context)
        for statement in allowed
    )


def _any_matches(patterns: str | list[str], value: str) -> bool:
    choices = [patterns] if isinstance(patterns, str) else patterns
    return any(fnmatchcase(value, pattern) for pattern in choices)


def _holds(conditions: Mapping[str, Mapping[str, Any]], context: Mapping[str, str]) -> bool:
    for kind, wanted in conditions.items():
        for key, patterns in wanted.items():
            value = context.get(key.replace(":", "_").replace("/", "_").replace("-", "_"))
            if value is None:
                if not kind.endswith("IfExists"):
                    return False
            elif not _any_matches(patterns, value):
                return False
    return True
