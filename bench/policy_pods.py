"""What policies cost a pod's start: pods in a cluster without any, and in one with some, in turn.

Two clusters, since a node's agent keeps to its care from the first policy on: a pod waits until its node's
rules know it.
"""

from __future__ import annotations

import asyncio
import statistics

from bench.cluster import client_of, first_pod_ready, pod_ready, wellhead
from bench.measure import Result, median
from wellhead.api.resources import NETWORKPOLICIES
from wellhead.client.rest import Client

_BARE, _POLICED = "bench-bare", "bench-policed"
_PODS, _POLICIES = 50, 50


def measure() -> list[Result]:
    """Of two clusters of a node each."""
    try:
        for name in (_BARE, _POLICED):
            wellhead("down", name=name)
            wellhead("up", "--nodes", "1", name=name)
        return asyncio.run(_measure())
    finally:
        for name in (_BARE, _POLICED):
            wellhead("down", name=name)


async def _measure() -> list[Result]:
    async with client_of(_BARE) as bare, client_of(_POLICED) as policed:
        for client in (bare, policed):
            await first_pod_ready(client)
        await _make_policies(policed)
        found: dict[Client, list[float]] = {bare: [], policed: []}
        for number in range(_PODS):
            pair = (bare, policed) if number % 2 else (policed, bare)
            for client in pair:
                found[client].append(1000 * await pod_ready(client, f"pod-{number}"))
    how = "create to Ready on one node, in turn with the other's"
    calm = {client: statistics.quantiles(each, n=10)[0] for client, each in found.items()}
    return [
        median("Pod start, no policy", found[bare], "ms", how),
        median(f"Pod start, {_POLICIES} policies", found[policed], "ms", f"{how}; all select it"),
        Result(
            "Pod start, more with policies",
            calm[policed] - calm[bare],
            "ms",
            f"of the undisturbed: the lowest tenth of {_PODS} ends at {calm[bare]:.0f} ms without any",
        ),
    ]


async def _make_policies(client: Client) -> None:
    for number in range(_POLICIES):
        ports = [{"port": 8000 + number}]
        spec = {"podSelector": {}, "ingress": [{"from": [{"podSelector": {}}], "ports": ports}]}
        await client.create(
            NETWORKPOLICIES, {"metadata": {"name": f"policy-{number}", "namespace": "bench"}, "spec": spec}
        )
