"""A DaemonSet's status: counts of nodes.

Source: upstream's pkg/controller/daemon (updateDaemonSetStatus).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from wellhead.api.meta import Obj
from wellhead.controllers.daemonset.placement import Placement, PodsByNode, is_updated
from wellhead.controllers.pods import is_ready, seconds_to_available

_ALWAYS_WRITTEN = ("currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady")


def status_of(
    daemonset: Obj, nodes: Iterable[Obj], pods: PodsByNode, placement: Placement, digest: str, now: datetime
) -> Obj:
    """The status as it should be. Of several pods on a node, the oldest counts."""
    min_ready = daemonset["spec"].get("minReadySeconds", 0)
    status = dict.fromkeys(
        (*_ALWAYS_WRITTEN, "updatedNumberScheduled", "numberAvailable", "numberUnavailable"), 0
    )
    for node in nodes:
        there = pods.get(node["metadata"]["name"])
        if not placement.should_run(node):
            status["numberMisscheduled"] += bool(there)
            continue
        status["desiredNumberScheduled"] += 1
        if there:
            status["currentNumberScheduled"] += 1
            status["numberReady"] += is_ready(there[0])
            status["numberAvailable"] += seconds_to_available(there[0], min_ready, now) == 0
            status["updatedNumberScheduled"] += is_updated(there[0], daemonset, digest)
    status["numberUnavailable"] = status["desiredNumberScheduled"] - status["numberAvailable"]
    written: Obj = {name: count for name, count in status.items() if count or name in _ALWAYS_WRITTEN}
    written["observedGeneration"] = daemonset["metadata"].get("generation", 0)
    # What others keep in the status stays there.
    before = daemonset.get("status") or {}
    kept = {name: before[name] for name in ("collisionCount", "conditions") if name in before}
    return written | kept
