"""`configs/kuberay/raycluster.yaml` starts no pod without the token, or with needless rights."""

from pathlib import Path
from typing import Any

import pytest
import ray
import yaml

from wslabel.engine.memory import ENVIRONMENT

FOLDER = Path(__file__).parents[1] / "configs" / "kuberay"
DOCUMENTS = list(yaml.safe_load_all((FOLDER / "raycluster.yaml").read_text()))
SPEC: dict[str, Any] = next(d for d in DOCUMENTS if d["kind"] == "RayCluster")["spec"]
GROUPS = {"head": SPEC["headGroupSpec"]} | {g["groupName"]: g for g in SPEC["workerGroupSpecs"]}
PODS: dict[str, dict[str, Any]] = {n: g["template"]["spec"] for n, g in GROUPS.items()}
CONTAINERS = {name: pod["containers"][0] for name, pod in PODS.items()}
CONTAINERS["autoscaler"] = SPEC["autoscalerOptions"]  # the operator makes a container of it
WORKERS = [name for name in PODS if name != "head"]

# Keys of KubeRay's v1 API that this file uses; an operator drops a key that it does not know.
KEYS = {
    "spec": {
        "rayVersion",
        "enableInTreeAutoscaling",
        "autoscalerOptions",
        "headGroupSpec",
        "workerGroupSpecs",
    },
    "autoscaler": {"idleTimeoutSeconds", "env", "securityContext", "volumeMounts", "resources"},
    "head": {"serviceType", "rayStartParams", "template"},
    "worker": {
        "groupName",
        "replicas",
        "minReplicas",
        "maxReplicas",
        "rayStartParams",
        "template",
    },
}


def test_it_has_keys_of_the_operators_api_alone() -> None:
    assert SPEC.keys() == KEYS["spec"]
    assert SPEC["autoscalerOptions"].keys() == KEYS["autoscaler"]
    assert SPEC["headGroupSpec"].keys() == KEYS["head"]
    for group in SPEC["workerGroupSpecs"]:
        assert group.keys() == KEYS["worker"]


def test_it_runs_the_ray_of_the_lock() -> None:
    assert SPEC["rayVersion"] == ray.__version__


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_container_asks_for_the_token_of_the_secret(name: str) -> None:
    variables = {entry["name"]: entry for entry in CONTAINERS[name]["env"]}
    assert variables["RAY_AUTH_MODE"]["value"] == "token"
    secret = {"name": "wslabel-token", "key": "auth_token"}
    assert variables["RAY_AUTH_TOKEN"]["valueFrom"] == {"secretKeyRef": secret}


def test_the_token_itself_stands_in_no_file() -> None:
    assert not [document for document in DOCUMENTS if document["kind"] == "Secret"]


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_container_has_no_privilege_and_a_limit(name: str) -> None:
    container = CONTAINERS[name]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"cpu", "memory"} <= container["resources"]["limits"].keys()
    assert {"name": "scratch", "mountPath": "/tmp"} in container["volumeMounts"]


@pytest.mark.parametrize("name", PODS)
def test_a_pod_runs_as_nobody_under_the_default_filter(name: str) -> None:
    context = PODS[name]["securityContext"]
    assert context["runAsNonRoot"]
    assert context["runAsUser"] == context["runAsGroup"] == context["fsGroup"] == 1000
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert PODS[name]["volumes"] == [{"name": "scratch", "emptyDir": {}}]
    assert not {"hostNetwork", "hostPID", "hostIPC"} & PODS[name].keys()


def test_workers_have_no_account_of_the_clusters_api() -> None:
    accounts = {d["metadata"]["name"] for d in DOCUMENTS if d["kind"] == "ServiceAccount"}
    for name in WORKERS:
        assert PODS[name]["automountServiceAccountToken"] is False
        assert PODS[name]["serviceAccountName"] != PODS["head"]["serviceAccountName"]
    assert {pod["serviceAccountName"] for pod in PODS.values()} == accounts


def test_pods_are_reached_by_pods_of_the_cluster_alone() -> None:
    (policy,) = (d["spec"] for d in DOCUMENTS if d["kind"] == "NetworkPolicy")
    ours = {"matchLabels": {"ray.io/cluster": "wslabel"}}
    assert policy["podSelector"] == ours
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy["ingress"] == [{"from": [{"podSelector": ours}]}]
    assert SPEC["headGroupSpec"]["serviceType"] == "ClusterIP"
    (egress,) = policy["egress"]
    assert [block["ipBlock"]["except"] for block in egress["to"]] == [
        ["169.254.169.254/32"],
        ["fd00:ec2::254/128"],
    ]


def test_workers_keep_freed_memory_as_on_a_laptop() -> None:
    for name in WORKERS:
        variables = {entry["name"]: entry.get("value") for entry in CONTAINERS[name]["env"]}
        assert ENVIRONMENT.items() <= variables.items()


def test_the_image_installs_what_runs_and_is_not_run_by_root() -> None:
    lines = (FOLDER / "Dockerfile").read_text().splitlines()
    assert [line for line in lines if "make install" in line]
    assert lines[-1] == "USER 1000"
    for source in (s for line in lines if line.startswith("COPY") for s in line.split()[1:-1]):
        assert (FOLDER.parents[1] / source).exists()
