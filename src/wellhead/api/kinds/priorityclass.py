"""PriorityClasses: what a pod's priority is called, and whether it may push others away.

Upstream: pkg/apis/scheduling/validation.
"""

from __future__ import annotations

from datetime import datetime

from wellhead.api import cells
from wellhead.api.errors import Cause
from wellhead.api.kind import Kind
from wellhead.api.meta import Obj
from wellhead.api.printer import AGE, NAME, Cell, Column, Printer
from wellhead.api.resource import Resource
from wellhead.api.strategy import Strategy

PRIORITYCLASSES = Resource(
    "scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses", namespaced=False, short_names=("pc",)
)

PREEMPT = "PreemptLowerPriority"
_POLICIES = (PREEMPT, "Never")
_HIGHEST = 1_000_000_000
"""Of those that users may make."""

SYSTEM_CLASSES: dict[str, tuple[int, str]] = {
    "system-node-critical": (
        2_000_001_000,
        "Used for system critical pods that must not be moved from their current node.",
    ),
    "system-cluster-critical": (
        2_000_000_000,
        "Used for system critical pods that must run in the cluster, but can be moved to another node if "
        "necessary.",
    ),
}
"""Those that every cluster has: name -> (value, description)."""


class PriorityClassStrategy(Strategy):
    counts_generations = True

    def default(self, obj: Obj) -> None:
        obj.setdefault("preemptionPolicy", PREEMPT)
        obj.setdefault("value", 0)

    def validate(self, obj: Obj) -> list[Cause]:
        causes = []
        name, value = obj["metadata"].get("name") or "", obj["value"]
        if name.startswith("system-"):
            if why := _not_of_the_system(name, value, bool(obj.get("globalDefault"))):
                text = "priority class names with 'system-' prefix are reserved for system use only. error: "
                causes.append(Cause.forbidden("metadata.name", text + why))
        elif value > _HIGHEST:
            text = f"maximum allowed value of a user defined priority is {_HIGHEST}"
            causes.append(Cause.forbidden("value", text))
        if obj["preemptionPolicy"] not in _POLICIES:
            causes.append(Cause.not_supported("preemptionPolicy", obj["preemptionPolicy"], _POLICIES))
        return causes

    def validate_update(self, new: Obj, old: Obj) -> list[Cause]:
        # What it is called and worth was checked when it was made.
        causes = []
        if new["value"] != old.get("value", 0):
            causes.append(Cause.forbidden("value", "may not be changed in an update."))
        if new["preemptionPolicy"] != old.get("preemptionPolicy", PREEMPT):
            causes.append(Cause.invalid("preemptionPolicy", new["preemptionPolicy"], "field is immutable"))
        return causes


def _not_of_the_system(name: str, value: int, is_default: bool) -> str:
    if name not in SYSTEM_CLASSES:
        return f"{name} is not a known system priority class"
    if value != SYSTEM_CLASSES[name][0]:
        return f"value of {name} PriorityClass must be {SYSTEM_CLASSES[name][0]}"
    return f"globalDefault of {name} PriorityClass must be false" if is_default else ""


def _cells(priority: Obj, now: datetime) -> list[Cell]:
    return [
        cells.name(priority),
        priority.get("value", 0),
        bool(priority.get("globalDefault")),
        cells.created(priority, now),
        priority.get("preemptionPolicy", ""),
    ]


_PRINTER = Printer(
    (
        NAME,
        Column("Value", "integer"),
        Column("Global-Default", "boolean"),
        AGE,
        Column("PreemptionPolicy"),
    ),
    _cells,
)

KIND = Kind(PRIORITYCLASSES, PriorityClassStrategy(), _PRINTER)
