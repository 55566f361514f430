"""Our components have the rights that their work needs (tests/integration/apiserver: what is refused)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

from tests.cluster.lab import ECHOSERVER, Lab, eventually
from wellhead.lab.cluster import Cluster

PRESERVE = "wellhead.dev/preserve-client-ip"
ANNOUNCED = "wellhead.dev/symmetric-return"
SERVICE_CIDR = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "ServiceCIDR",
    "metadata": {"name": "rights"},
    "spec": {"cidrs": ["10.99.0.0/24"]},
}


@contextmanager
def a_namespace_full_of_work(lab: Lab) -> Iterator[str]:
    name = "rights"
    lab.kubectl("create", "namespace", name)
    try:
        lab.kubectl("wait", "--for=create", "serviceaccount/default", "-n", name, "--timeout=60s")
        yield name
    finally:
        lab.kubectl("delete", "namespace", name, "--ignore-not-found")
        lab.kubectl("delete", "servicecidr", "rights", "--ignore-not-found")


def refused(lab: Lab) -> list[str]:
    """What the components' logs say of it. In namespaces that are gone their pods were gone, too, perhaps."""
    names = {each["metadata"]["name"] for each in lab.get("namespaces")["items"]} | {"rights"}
    found = [
        f"{file.name}: {line}"
        for file in sorted((Cluster(lab.name).directory / "logs").glob("*.log"))
        for line in file.read_text(errors="replace").splitlines()
        if re.search(r"is forbidden: User|cannot (get|list|watch|create|update|patch|delete) resource", line)
    ]
    where = re.compile(r'in the namespace "([^"]*)"')
    return [line for line in found if (at := where.search(line)) is None or at[1] in names]


def test_no_component_is_refused_what_its_work_needs(lab: Lab) -> None:
    with a_namespace_full_of_work(lab) as namespace:
        at = ("-n", namespace)
        lab.kubectl("create", "configmap", "c", "--from-literal=a=b", *at)
        lab.kubectl("create", "deployment", "web", f"--image={ECHOSERVER}", "--replicas=3", *at)
        lab.kubectl("rollout", "status", "deployment/web", "--timeout=60s", *at)
        lab.kubectl(
            "expose", "deployment", "web", "--port=80", "--target-port=8080", "--type=LoadBalancer", *at
        )
        lab.kubectl("annotate", "service", "web", f"{PRESERVE}=true", *at)
        lab.kubectl("set", "env", "deployment/web", "A=B", *at)
        lab.kubectl("rollout", "status", "deployment/web", "--timeout=60s", *at)
        lab.apply(SERVICE_CIDR)
        lab.vips("web", namespace, 1)

        def announced() -> bool:
            nodes = lab.get("nodes")["items"]
            return all(ANNOUNCED in (node["metadata"].get("annotations") or {}) for node in nodes)

        eventually(announced, True)
        pods = (each["metadata"] for each in lab.get("pods", namespace=namespace)["items"])
        stays = next(each["name"] for each in pods if "deletionTimestamp" not in each)
        lab.kubectl("delete", "pod", stays, *at)
        lab.kubectl("delete", "deployment", "web", "--cascade=orphan", *at)
        lab.kubectl("wait", "--for=condition=Ready", "servicecidr/rights", "--timeout=60s")
    assert refused(lab) == [], json.dumps(refused(lab), indent=1)
