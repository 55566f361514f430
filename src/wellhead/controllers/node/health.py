"""Whether a node has fallen silent.

Only *changes* of its heartbeats count, by the time at which they were seen here on a clock that never jumps
(the event loop's): the timestamps come from other clocks, and are never compared with ours.
"""

from __future__ import annotations

from dataclasses import dataclass

from wellhead.api.meta import Obj, condition
from wellhead.api.types.node import Node, NodeCondition, NodeStatus
from wellhead.controllers import conditions

_CONDITIONS = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")


@dataclass(frozen=True)
class Heartbeat:
    """What a node last said, and when that was first seen, in seconds of a monotonic clock."""

    said: tuple[str, str]
    seen: float


def heartbeat(node: Node, lease: Obj | None, before: Heartbeat | None, now: float) -> Heartbeat:
    """The heartbeat as of now: a new one if the lease's renewTime or the Ready condition's time changed."""
    ready = condition(node, "Ready") or {}
    said = (
        str(((lease or {}).get("spec") or {}).get("renewTime") or ""),
        str(ready.get("lastHeartbeatTime") or "") if ready.get("status") != "Unknown" else "",
    )
    if before is None:
        return Heartbeat(said, now)
    # A status that we wrote ourselves is no sign of life: only what is new and not empty counts.
    renewed = any(new and new != old for new, old in zip(said, before.said, strict=True))
    return Heartbeat(said, now) if renewed else Heartbeat(before.said, before.seen)


def silent_status(node: Node, time: str) -> NodeStatus | None:
    """The node's status with its conditions Unknown; None if they already are. `time` is RFC 3339."""
    status: NodeStatus = node.get("status") or {}
    before = list(status.get("conditions") or [])
    entries = before
    for name in _CONDITIONS:
        current = conditions.find(before, name)
        entry: NodeCondition
        if current is None:
            entry = {
                "type": name,
                "status": "Unknown",
                "reason": "NodeStatusNeverUpdated",
                "message": "Kubelet never posted node status.",
                "lastHeartbeatTime": node["metadata"].get("creationTimestamp", ""),
                "lastTransitionTime": time,
            }
        elif current.get("status") != "Unknown":
            entry = {
                **current,
                "status": "Unknown",
                "reason": "NodeStatusUnknown",
                "message": "Kubelet stopped posting node status.",
                "lastTransitionTime": time,
            }
        else:
            continue
        entries = conditions.put(entries, entry)
    return {**status, "conditions": entries} if entries != before else None
