"""The decision for one pod: a node, or why there is none. Pure, but for the choice among equals."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from wellhead.scheduler.affinity import PodAffinity
from wellhead.scheduler.cluster import Cluster, NodeInfo
from wellhead.scheduler.filters import misfits
from wellhead.scheduler.pod import PodInfo
from wellhead.scheduler.scores import scores
from wellhead.scheduler.spreading import Spread
from wellhead.scheduler.volumes import PROBLEM, Volumes


@dataclass(frozen=True)
class Placed:
    node: str


@dataclass(frozen=True)
class Unschedulable:
    """`message` is for people, `reasons` are what it is made of; `nodes` has them by node."""

    message: str
    reasons: frozenset[str]
    nodes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


_NO_DEVICES = "this scheduler and the nodes' agents work with no drivers of devices"


class Filters:
    """What speaks against a pod's going to a node, in a cluster: counted once, asked per node."""

    def __init__(self, pod: PodInfo, cluster: Cluster, volumes: Volumes | None) -> None:
        self._pod, self._cluster, self._volumes = pod, cluster, volumes
        self._affinity, self._spread = PodAffinity(pod, cluster), Spread(pod, cluster)

    def reasons(self, node: NodeInfo) -> tuple[str, ...]:
        """Those of the first filter that refuses the node; none if all accept it."""
        reserved = self._cluster.reserved(node.name, self._pod)
        if reserved:
            # Places that were made for others are theirs.
            with_them = node.with_pods([*node.pods.values(), *reserved])
            if found := tuple(misfits(self._pod, with_them)):
                return found
        if found := tuple(misfits(self._pod, node)):
            return found
        reason: str | None = self._volumes.misfit(node) if self._volumes is not None else ""
        reason = reason or self._spread.misfit(node) or self._affinity.misfit(node)
        return (reason,) if reason else ()


def decide(
    pod: PodInfo,
    cluster: Cluster,
    chance: random.Random,
    is_mate: Callable[[PodInfo], bool] | None = None,
    volumes: Volumes | None = None,
) -> Placed | Unschedulable:
    """The best node for the pod.

    `is_mate` tells pods that it should be spread apart from, `volumes` what its claims let it.
    """
    nodes = cluster.nodes()
    if not nodes:
        return Unschedulable("no nodes available to schedule pods", frozenset())
    if pod.obj["spec"].get("resourceClaims"):
        # Nothing on wellhead's nodes prepares a device: a pod that runs without what it claims is worse.
        text = f"0/{len(nodes)} nodes are available: resource claims can't be allocated: {_NO_DEVICES}."
        return Unschedulable(text, frozenset())
    if volumes is not None and volumes.problem:
        text = f"0/{len(nodes)} nodes are available: {volumes.problem}."
        return Unschedulable(text, frozenset({PROBLEM}))
    filters = Filters(pod, cluster, volumes)
    refused = {node.name: filters.reasons(node) for node in nodes}
    feasible = [node for node in nodes if not refused[node.name]]
    if not feasible:
        counts = Counter(reason for reasons in refused.values() for reason in reasons)
        return Unschedulable(_message(len(nodes), counts), frozenset(counts), refused)
    if len(feasible) == 1:
        return Placed(feasible[0].name)
    if any(node.name == pod.nominated_node for node in feasible):
        return Placed(pod.nominated_node)  # where others had to go for it
    found = scores(pod, feasible, cluster, is_mate)
    best = max(found.values())
    return Placed(chance.choice([name for name, score in found.items() if score >= best - 1e-9]))


def _message(count: int, refused: Counter[str]) -> str:
    parts = sorted(f"{number} {reason}" for reason, number in refused.items())
    return f"0/{count} nodes are available: {', '.join(parts)}."
