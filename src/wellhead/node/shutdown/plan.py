"""In what order a node's pods end when it shuts down, and how long each may take. Pure.

Source: pkg/kubelet/nodeshutdown of v1.36 (KEP-2000, KEP-2712).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from wellhead.api.meta import Obj
from wellhead.node.configuration import ShutdownGracePeriod
from wellhead.node.pods import spec


@dataclass(frozen=True)
class Group:
    """Pods that end together: the next ones begin when all have, or after so many seconds."""

    seconds: int
    pods: tuple[Obj, ...]


def groups(periods: Sequence[ShutdownGracePeriod], pods: Iterable[Obj]) -> list[Group]:
    """Who ends with whom, the least important first. `periods` are by rising priority, and not empty."""
    found: list[list[Obj]] = [[] for _ in periods]
    for pod in pods:
        priority = int(pod["spec"].get("priority") or 0)
        below = [index for index, period in enumerate(periods) if period.priority <= priority]
        found[below[-1] if below else 0].append(pod)
    return [
        Group(period.shutdown_grace_period_seconds, tuple(members))
        for period, members in zip(periods, found, strict=True)
        if members
    ]


def grace(pod: Obj, group: Group) -> float:
    """How many seconds the pod has: what it asks for, within its group's time."""
    asked = pod["spec"].get("terminationGracePeriodSeconds")
    return float(group.seconds if asked is None else min(spec.grace_period(pod), group.seconds))
