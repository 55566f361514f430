"""A process that changes policies without end, to be killed at any line.

It leaves two things alone: what comes to .5 from .2 passes, and nothing that comes to .6.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from ipaddress import ip_network
from typing import Any

from tests.packets.policy.crowd import LEFT, RIGHT
from wellhead.ip import Family
from wellhead.policies.cluster_policies import ClusterPolicies
from wellhead.policies.node_policies import NodePolicies
from wellhead.policies.pods import parse_pod
from wellhead.policies.policy import parse_policy
from wellhead.policy.enforcement import Enforcement

NETWORKS = (ip_network("10.244.1.0/24"), ip_network("fd00:10:244:1::/64"))
PODS = dict(zip("abcdefgh", (*LEFT[:3], *RIGHT[:3], LEFT[3], RIGHT[3]), strict=True))


def pod(name: str, **labels: str) -> Any:
    return parse_pod(
        {
            "metadata": {"namespace": "shop", "name": name, "labels": {"app": name, **labels}},
            "spec": {"nodeName": "node-1"},
            "status": {"podIPs": [{"ip": PODS[name]}]},
        }
    )


def policy(app: str, *peers: str, **spec: Any) -> Any:
    rules = [{"from": [{"podSelector": {"matchLabels": {"app": each}}}]} for each in peers]
    about = {"podSelector": {"matchLabels": {"app": app}}, "ingress": rules, **spec}
    return parse_policy({"metadata": {"namespace": "shop", "name": app}, "spec": about})


async def churn() -> None:
    enforcement, known, cluster = Enforcement(Family), NodePolicies("node-1"), ClusterPolicies("node-1")
    await enforcement.guard(NETWORKS)
    known.set_namespace("shop", frozenset())
    for name in PODS:
        known.set_pod(("shop", name), pod(name))
    known.set_policy(("shop", "d"), policy("d", "a"))
    known.set_policy(("shop", "e"), policy("e"))
    enforcement.set_pod_networks(NETWORKS)
    for turn in itertools.count():
        await enforcement.apply(known.take(), cluster.take())
        if turn == 0:
            print("ready", flush=True)
        known.set_policy(("shop", "f"), policy("f", "bcd"[turn % 3]) if turn % 4 else None)
        known.set_policy(("shop", "d"), policy("d", "a", "bc"[turn % 2]))
        known.set_policy(("shop", "e"), policy("e", policyTypes=["Ingress", "Egress"][: 1 + turn % 2]))
        known.set_pod(("shop", "c"), pod("c", turn=str(turn)) if turn % 5 else None)


if __name__ == "__main__":
    sys.exit(asyncio.run(churn()))
