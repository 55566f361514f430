"""Pods that are replaced, on other nodes, under load: no request fails, and no download breaks.

A pod that ends waits, by a preStop hook, for longer than a load balancer needs to notice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.cluster.lab import NODES, Lab, Obj, eventually
from tests.cluster.load import DOWNLOADS, FINITE, KINDS, SHORT, Crowd, balanced, crowd, server

DETECTION_SECONDS = 3
"""Two failed checks, a second apart."""


def deployment(namespace: str, *nodes: str) -> Obj:
    """Two servers, on these nodes."""
    pod = server(lifecycle={"preStop": {"sleep": {"seconds": DETECTION_SECONDS + 7}}})
    on = {"key": "kubernetes.io/hostname", "operator": "In", "values": nodes}
    required = {"nodeSelectorTerms": [{"matchExpressions": [on]}]}
    pod["affinity"] = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
    labels = {"app": "rolling"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "rolling", "namespace": namespace},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def pods(lab: Lab, namespace: str) -> list[str]:
    return [each["metadata"]["name"] for each in lab.get("pods", namespace=namespace)["items"]]


@pytest.fixture(scope="module")
def vips(lab: Lab, namespace: str) -> Iterator[dict[str, str]]:
    """By name, the VIPs of a Service of each kind with each policy, for the same pods."""
    lab.apply({**DOWNLOADS, "metadata": {"name": "downloads", "namespace": namespace}})
    lab.apply(deployment(namespace, "node-1", "node-2"))
    lab.kubectl("rollout", "status", "deployment/rolling", "-n", namespace, "--timeout=60s")
    names = {f"{kind}-{policy.lower()}": (kind, policy) for kind in KINDS for policy in ("Cluster", "Local")}
    yield {
        name: balanced(lab, namespace, name, kind, "rolling", externalTrafficPolicy=policy)
        for name, (kind, policy) in names.items()
    }
    lab.kubectl("delete", "service", *names, "-n", namespace)
    lab.kubectl("delete", "deployment", "rolling", "-n", namespace, "--cascade=orphan")
    lab.kubectl("delete", "replicaset", "--all", "-n", namespace, "--cascade=orphan")
    lab.kubectl("delete", "pod", "--all", "-n", namespace, "--force", "--grace-period=0")  # no preStop now


@pytest.fixture
def clients(lab: Lab, vips: dict[str, str]) -> Iterator[Crowd]:
    with crowd(lab) as found:

        def all_answer() -> bool:
            began = (each for vip in vips.values() for each in found.download(f"http://{vip}{SHORT}", 10))
            return all(each.state in ("running", "complete") for each in began)

        eventually(all_answer, True)
        yield found


def test_a_rolling_update_fails_no_request_and_breaks_no_download(
    lab: Lab, namespace: str, vips: dict[str, str], clients: Crowd
) -> None:
    old = pods(lab, namespace)
    clients.ask(*(f"http://{vip}{SHORT}" for vip in vips.values()), every=0.05)
    for vip in vips.values():
        clients.download(f"http://{vip}{FINITE}", 25)
    lab.apply(deployment(namespace, *NODES[2:]))
    lab.kubectl("rollout", "status", "deployment/rolling", "-n", namespace, "--timeout=60s")
    eventually(lambda: len(set(old) & set(pods(lab, namespace))), 0)
    asked = clients.asked()
    print(f"{asked['count']} requests, {asked['late']} late")
    assert asked["failures"] == []
    finite = [each for each in clients.report() if each.url.endswith(FINITE)]
    assert Counter(each.state for each in finite) == {"complete": 100}
    assert {each.pod for each in finite} == set(old)
