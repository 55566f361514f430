"""Nodes."""

from __future__ import annotations

from datetime import datetime

from wellhead.api.columns.cells import NONE, created, joined, name
from wellhead.api.meta import Obj, condition, labels
from wellhead.api.tables import AGE, NAME, Cell, Column, Printer

_ROLE_PREFIX = "node-role.kubernetes.io/"
_ROLE_LABEL = "kubernetes.io/role"


def _status(node: Obj) -> str:
    ready = condition(node, "Ready")
    words = ["Unknown" if ready is None else "Ready" if ready.get("status") == "True" else "NotReady"]
    if node["spec"].get("unschedulable"):
        words.append("SchedulingDisabled")
    return ",".join(words)


def _roles(node: Obj) -> str:
    roles = {label.removeprefix(_ROLE_PREFIX) for label in labels(node) if label.startswith(_ROLE_PREFIX)}
    roles.add(labels(node).get(_ROLE_LABEL, ""))
    return joined(sorted(roles - {""}))


def _address(node: Obj, kind: str) -> str:
    addresses = (node.get("status") or {}).get("addresses") or ()
    return next((entry["address"] for entry in addresses if entry.get("type") == kind), NONE)


def _cells(node: Obj, now: datetime) -> list[Cell]:
    info = (node.get("status") or {}).get("nodeInfo") or {}
    return [
        name(node),
        _status(node),
        _roles(node),
        created(node, now),
        info.get("kubeletVersion", ""),
        _address(node, "InternalIP"),
        _address(node, "ExternalIP"),
        info.get("osImage") or "<unknown>",
        info.get("kernelVersion") or "<unknown>",
        info.get("containerRuntimeVersion") or "<unknown>",
    ]


PRINTER = Printer(
    (
        NAME,
        Column("Status"),
        Column("Roles"),
        AGE,
        Column("Version"),
        Column("Internal-IP", wide=True),
        Column("External-IP", wide=True),
        Column("OS-Image", wide=True),
        Column("Kernel-Version", wide=True),
        Column("Container-Runtime", wide=True),
    ),
    _cells,
)
