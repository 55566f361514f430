"""The decision for one pod: a node, or why there is none. Pure, but for the choice among equals."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from wellhead.scheduler.affinity import PodAffinity
from wellhead.scheduler.cluster import Cluster
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
    """`message` is for people, `reasons` are what it is made of."""

    message: str
    reasons: frozenset[str]


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
    if volumes is not None and volumes.problem:
        text = f"0/{len(nodes)} nodes are available: {volumes.problem}."
        return Unschedulable(text, frozenset({PROBLEM}))
    affinity, spread = PodAffinity(pod, cluster), Spread(pod, cluster)
    feasible, refused = [], Counter[str]()
    for node in nodes:
        reasons = list(misfits(pod, node))
        if not reasons:
            reason: str | None = volumes.misfit(node) if volumes is not None else ""
            reason = reason or spread.misfit(node) or affinity.misfit(node)
            reasons = [reason] if reason else []
        if reasons:
            refused.update(reasons)
        else:
            feasible.append(node)
    if not feasible:
        return Unschedulable(_message(len(nodes), refused), frozenset(refused))
    if len(feasible) == 1:
        return Placed(feasible[0].name)
    found = scores(pod, feasible, cluster, is_mate)
    best = max(found.values())
    return Placed(chance.choice([name for name, score in found.items() if score >= best - 1e-9]))


def _message(count: int, refused: Counter[str]) -> str:
    parts = sorted(f"{number} {reason}" for reason, number in refused.items())
    return f"0/{count} nodes are available: {', '.join(parts)}."
