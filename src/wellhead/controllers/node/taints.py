"""The taints that follow from a node's conditions.

Source: upstream's node lifecycle controller; KEP-382 (taint node by condition).
"""

from __future__ import annotations

from collections.abc import Iterable

from wellhead.api.meta import condition
from wellhead.api.names import MEMORY_PRESSURE_TAINT, NOT_READY_TAINT, UNREACHABLE_TAINT, UNSCHEDULABLE_TAINT
from wellhead.api.types.node import Node, NodeSpec, Taint

_BY_CONDITION = {
    "MemoryPressure": MEMORY_PRESSURE_TAINT,
    "DiskPressure": "node.kubernetes.io/disk-pressure",
    "PIDPressure": "node.kubernetes.io/pid-pressure",
    "NetworkUnavailable": "node.kubernetes.io/network-unavailable",
}
_OURS = frozenset({NOT_READY_TAINT, UNREACHABLE_TAINT, UNSCHEDULABLE_TAINT, *_BY_CONDITION.values()})

Identity = tuple[str, str]
"""(key, effect)"""


def ready_status(node: Node) -> str | None:
    """The status of the condition Ready; None if the node hasn't reported any."""
    entry = condition(node, "Ready")
    return entry.get("status") if entry else None


def wanted_taints(node: Node, *, evict: bool) -> set[Identity]:
    """All taints of ours that the node should have. `evict`: whether pods may be driven off nodes at all."""
    wanted: set[Identity] = set()
    for name, taint in _BY_CONDITION.items():
        entry = condition(node, name)
        if entry is not None and entry.get("status") == "True":
            wanted.add((taint, "NoSchedule"))
    if node["spec"].get("unschedulable"):
        wanted.add((UNSCHEDULABLE_TAINT, "NoSchedule"))
    unready = {"False": NOT_READY_TAINT, "Unknown": UNREACHABLE_TAINT}.get(ready_status(node) or "")
    if unready:
        wanted.add((unready, "NoSchedule"))
        if evict:
            wanted.add((unready, "NoExecute"))
    return wanted


def tainted(node: Node, wanted: set[Identity], time: str) -> Node | None:
    """The node with exactly these taints of ours, others untouched; None if nothing changes.

    `time` (RFC 3339) is noted on new NoExecute taints.
    """
    before = node["spec"].get("taints") or []
    kept = [taint for taint in before if taint["key"] not in _OURS or _identity(taint) in wanted]
    missing = wanted - set(map(_identity, kept))
    if len(kept) == len(before) and not missing:
        return None
    added: list[Taint] = [
        {"key": name, "effect": effect, "timeAdded": time}
        if effect == "NoExecute"
        else {"key": name, "effect": effect}
        for name, effect in sorted(missing)
    ]
    spec: NodeSpec = {**node["spec"], "taints": kept + added}
    if not spec["taints"]:
        del spec["taints"]
    return {**node, "spec": spec}


def may_evict(nodes: Iterable[Node]) -> bool:
    """Not while every node looks dead: more likely we can't see them (upstream's full disruption)."""
    return any(ready_status(node) == "True" for node in nodes)


def _identity(taint: Taint) -> Identity:
    return taint["key"], taint["effect"]
