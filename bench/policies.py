"""NetworkPolicies: 10,000 pods, of which 100 are on the node, and 1,000 policies; without an API server."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench import policy_packets
from bench.measure import Result, median, stopwatch
from wellhead.ip import Family
from wellhead.linux import namespaces
from wellhead.policies.node_policies import NodePolicies
from wellhead.policies.pods import parse_pod
from wellhead.policies.policy import parse_policy
from wellhead.policy.enforcement import Enforcement

_PODS, _NODES, _POLICIES, _APPS, _NAMESPACES, _ROLES = 10_000, 100, 1_000, 500, 50, 100
_SYNCS, _CHANGES = 3, 200
Obj = dict[str, Any]


def measure() -> list[Result]:
    """In a network namespace of its own, in a process that has one thread more."""
    found: list[Result] = []

    def work() -> None:
        namespaces.unshare(namespaces.CLONE_NEWNET)
        found.extend(asyncio.run(_measure()))

    namespaces.in_new_thread(work)
    return [*found, *policy_packets.measure()]


async def _measure() -> list[Result]:
    pods, policies = (
        [_pod(number) for number in range(_PODS)],
        [_policy(number) for number in range(_POLICIES)],
    )
    firsts: list[float] = []
    worked: list[float] = []
    before = _resident()
    for _ in range(_SYNCS):
        enforcement, known = Enforcement([Family.IPV4]), NodePolicies("node-0")
        began = time.process_time()
        with stopwatch() as seconds:
            for name in _names():
                known.set_namespace(name, frozenset())
            for each in policies:
                known.set_policy(_key(each), parse_policy(each))
            for each in pods:
                known.set_pod(_key(each), parse_pod(each))
            await enforcement.apply(known.take())
        firsts += seconds
        worked.append(time.process_time() - began)
        if len(firsts) < _SYNCS:
            enforcement.close()
    grown = _resident() - before
    changes: list[float] = []
    chosen = random.Random(1)
    for _ in range(_CHANGES):
        pod = _pod(chosen.randrange(_PODS), role=f"role-{chosen.randrange(_ROLES)}")
        with stopwatch() as seconds:
            known.set_pod(_key(pod), parse_pod(pod))
            await enforcement.apply(known.take())
        changes.append(1000 * seconds[0])
    enforcement.close()
    size = f"{_PODS} pods, {_PODS // _NODES} of them here, {_POLICIES} policies"
    return [
        median("First sync", firsts, "s", f"{size}: from raw objects to rules in force, IPv4"),
        median("First sync, CPU", worked, "s", "the same, user and system"),
        median("One change", changes, "ms", "a pod's other label moves it in 10 policies; in force"),
        Result("Memory", grown / 1e6, "MB", f"resident, grown by what is kept of {size}"),
    ]


def _names() -> Iterator[str]:
    return (f"ns-{number}" for number in range(_NAMESPACES))


def _key(obj: Obj) -> tuple[str, str]:
    return obj["metadata"]["namespace"], obj["metadata"]["name"]


def _pod(number: int, **labels: str) -> Obj:
    app = number * _APPS // _PODS
    return {
        "metadata": {
            "namespace": f"ns-{app % _NAMESPACES}",
            "name": f"pod-{number}",
            "uid": str(number),
            "labels": {"app": f"app-{app}", **labels},
        },
        "spec": {
            "nodeName": f"node-{number % _NODES}",
            "containers": [{"ports": [{"name": "http", "containerPort": 8080}]}],
        },
        "status": {"podIPs": [{"ip": f"10.0.{number >> 8}.{number & 255}"}]},
    }


def _policy(number: int) -> Obj:
    app = number % _APPS
    others = [{"app": f"app-{(7 * app + step) % _APPS}"} for step in range(3)]
    peers = [
        {"namespaceSelector": {}, "podSelector": {"matchLabels": labels}}
        for labels in (*others, {"role": f"role-{number % _ROLES}"})
    ]
    return {
        "metadata": {"namespace": f"ns-{app % _NAMESPACES}", "name": f"policy-{number}"},
        "spec": {
            "podSelector": {"matchLabels": {"app": f"app-{app}"}},
            "ingress": [{"from": peers, "ports": [{"port": 8080}]}],
        },
    }


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096
