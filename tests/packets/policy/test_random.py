"""What the core says of random policies, pods and namespaces is what their packets do.

A few dozen here; `make test-fidelity` tries a thousand.
"""

from __future__ import annotations

import os
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.packets.policy.crowd import FAR, LEFT, PORTS, RIGHT, Crowd, Probe
from tests.unit.policies.making_up import NAMES, NAMESPACES, Obj, labels, policies
from tests.unit.policies.making_up_cluster import cluster_policies
from wellhead.ip import Family, IPAddress, Protocol
from wellhead.policies.cluster_policies import ClusterPolicies
from wellhead.policies.cluster_policy import ClusterPolicy, parse_cluster_policy
from wellhead.policies.judge import Traffic, judge
from wellhead.policies.node_policies import NodePolicies
from wellhead.policies.pods import Labels, Pod, labels_of, parse_pod
from wellhead.policies.policy import Direction, Policy, parse_policy
from wellhead.policy.enforcement import Enforcement

pytestmark = pytest.mark.cluster

POLICIES = int(os.environ.get("WELLHEAD_FIDELITY_POLICIES", "30"))
_CONNECTIONS = 40
_PODS = tuple(zip((*LEFT[:2], *RIGHT[:2]), (*LEFT[3:], *RIGHT[3:]), strict=True))
"""Those of both families; the others are of IPv4."""
ADDRESSES = (*_PODS, (LEFT[2],), (RIGHT[2],), FAR)
NODES = ("node-1",) * 6 + ("node-2",)


@st.composite
def clusters(draw: st.DrawFn) -> dict[str, list[Obj]]:
    """Everybody's labels, namespaces and ports, and policies."""
    pods = []
    for name, addresses, node in zip("abcdefg", ADDRESSES, NODES, strict=True):
        named = draw(st.dictionaries(st.sampled_from(NAMES), st.sampled_from(PORTS), max_size=2))
        ports = [{"name": each, "containerPort": number} for each, number in named.items()]
        metadata = {"namespace": draw(st.sampled_from(NAMESPACES)), "name": name, "labels": draw(labels)}
        pods.append(
            {
                "metadata": metadata,
                "spec": {"nodeName": node, "containers": [{"ports": ports}]},
                "status": {"podIPs": [{"ip": each} for each in addresses]},
            }
        )
    return {
        "pods": pods,
        "namespaces": [{"metadata": {"name": each, "labels": draw(labels)}} for each in NAMESPACES],
        "policies": draw(st.lists(policies(), min_size=1, max_size=4)),
        "cluster": draw(st.lists(cluster_policies(), max_size=2)),
    }


class Known:
    """What one process knows, from one cluster to the next."""

    def __init__(self, crowd: Crowd) -> None:
        async def made() -> Enforcement:
            return Enforcement(Family)

        self._crowd = crowd
        self._policies, self._cluster = NodePolicies("node-1"), ClusterPolicies("node-1")
        self._pods: set[tuple[str, str]] = set()
        self._enforcement = crowd.loop.wait_for(made())

    def learn(
        self,
        policies: dict[tuple[str, str], Policy],
        cluster: dict[str, ClusterPolicy],
        pods: dict[tuple[str, str], Pod],
        namespaces: dict[str, Labels],
    ) -> None:
        """Make this the cluster, by what differs from the one before."""
        for known in (self._policies, self._cluster):
            for name, found in namespaces.items():
                known.set_namespace(name, found)
            for key in self._pods - pods.keys():
                known.set_pod(key, None)
            for key, pod in pods.items():
                known.set_pod(key, pod)
        self._pods = set(pods)
        for at in {*self._policies.policies, *policies}:
            self._policies.set_policy(at, policies.get(at))
        for at in {*self._cluster.policies, *(("", each) for each in cluster)}:
            self._cluster.set_policy(at, cluster.get(at[1]))
        applied = self._enforcement.apply(self._policies.take(), self._cluster.take())
        self._crowd.loop.wait_for(applied)

    def close(self) -> None:
        async def close() -> None:
            self._enforcement.close()

        self._crowd.loop.wait_for(close())


@pytest.mark.timeout(1200)
def test_what_is_said_of_random_policies_is_what_packets_do(crowd: Crowd) -> None:
    known, tried = Known(crowd), [0, 0]
    pairs = list(crowd.pairs())

    @settings(
        max_examples=POLICIES,
        deadline=None,
        database=None,
        derandomize="WELLHEAD_FIDELITY_POLICIES" not in os.environ,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(clusters(), st.randoms(use_true_random=False))
    def holds(objects: dict[str, list[Obj]], random: Any) -> None:
        pods = {(each.namespace, each.name): each for each in map(parse_pod, objects["pods"]) if each}
        of_names = {(p.namespace, p.name): p for p in map(parse_policy, objects["policies"])}
        cluster = {each.name: each for each in map(parse_cluster_policy, objects["cluster"])}
        namespaces = {each["metadata"]["name"]: labels_of(each) for each in objects["namespaces"]}
        known.learn(of_names, cluster, pods, namespaces)
        asked = [(pair, Protocol.UDP) for pair in pairs]
        asked += [(pair, Protocol.TCP) for pair in random.sample(pairs, _CONNECTIONS)]
        probes = [Probe(*pair, protocol, random.choice(PORTS)) for pair, protocol in asked]
        at = {address: pod for pod in pods.values() for address in pod.addresses}
        passing = {
            each
            for each in probes
            if _passes(each, at, list(of_names.values()), list(cluster.values()), namespaces)
        }
        found = crowd.arrived(probes)
        assert found == passing, (found ^ passing, objects)
        tried[0] += len(probes)
        tried[1] += len(passing)

    try:
        holds()
    finally:
        known.close()
    print(f"{POLICIES} clusters, {tried[0]} connections of which {tried[1]} passed, none otherwise than said")
    assert 0 < tried[1] < tried[0]


def _passes(
    probe: Probe,
    at: dict[IPAddress, Pod],
    policies: list[Policy],
    cluster: list[ClusterPolicy],
    namespaces: dict[str, Labels],
) -> bool:
    pods = at.get(probe.source), at.get(probe.destination)
    traffic = Traffic(probe.source, probe.destination, probe.protocol, probe.port, *pods)
    return all(
        judge(traffic, direction, policies, namespaces, cluster).passes
        for direction, pod in zip((Direction.EGRESS, Direction.INGRESS), pods, strict=True)
        if pod is not None and pod.node == "node-1"
    )


def test_addresses_are_those_that_there_are(crowd: Crowd) -> None:
    everybody = {each for pair in crowd.pairs() for each in pair}
    assert {ip_address(each) for addresses in ADDRESSES for each in addresses} < everybody
