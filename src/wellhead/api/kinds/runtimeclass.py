"""RuntimeClasses: which handler of a node's runtime runs a pod, what that costs, and where it exists.

Upstream: pkg/apis/node/validation.
"""

from __future__ import annotations

from datetime import datetime

from wellhead.api import cells
from wellhead.api.errors import Cause
from wellhead.api.formats import dns_label
from wellhead.api.kind import Kind
from wellhead.api.kinds.pod.compute import validate_overhead
from wellhead.api.kinds.pod.scheduling import validate_tolerations
from wellhead.api.meta import Obj
from wellhead.api.metadata import validate_labels
from wellhead.api.printer import AGE, NAME, Cell, Column, Printer
from wellhead.api.quantity import canonical
from wellhead.api.resource import Resource
from wellhead.api.strategy import Strategy
from wellhead.api.warnings.node_labels import DEPRECATED

RUNTIMECLASSES = Resource("node.k8s.io", "v1", "RuntimeClass", "runtimeclasses", namespaced=False)

_LIST_KEYS = ("key", "operator", "value", "effect")


class RuntimeClassStrategy(Strategy):
    repeats_warnings = True
    needs_version = True
    created_by_update = True

    def warnings(self, obj: Obj) -> list[str]:
        selector = (obj.get("scheduling") or {}).get("nodeSelector") or {}
        return [f"scheduling.nodeSelector: {DEPRECATED[name]}" for name in selector if name in DEPRECATED]

    def default(self, obj: Obj) -> None:
        fixed = (obj.get("overhead") or {}).get("podFixed") or {}
        for name, text in fixed.items():
            try:
                fixed[name] = canonical(text)
            except ValueError:
                continue  # which validation says

    def validate(self, obj: Obj) -> list[Cause]:
        handler = obj.get("handler") or ""
        causes: list[Cause] = []
        if not handler:
            causes.append(Cause.required("handler"))
        else:
            causes += [Cause.invalid("handler", handler, problem) for problem in dns_label(handler)]
        if obj.get("overhead") is not None:
            causes += validate_overhead(obj["overhead"].get("podFixed") or {}, "overhead")
        if scheduling := obj.get("scheduling"):
            causes += validate_labels(scheduling.get("nodeSelector"), "scheduling.nodeSelector")
            tolerations = scheduling.get("tolerations") or []
            causes += validate_tolerations(tolerations, "scheduling.tolerations")
            seen: list[tuple[object, ...]] = []
            for index, each in enumerate(tolerations):
                identity = tuple(each.get(field) or "" for field in _LIST_KEYS)
                if identity in seen:
                    causes.append(Cause.duplicate(f"scheduling.tolerations[{index}]", each))
                seen.append(identity)
        return causes

    def validate_update(self, new: Obj, old: Obj) -> list[Cause]:
        handler, causes = new.get("handler") or "", self.validate(new)
        if handler != old.get("handler"):
            causes.append(Cause.invalid("handler", handler, "field is immutable"))
        return causes


def _cells(kind: Obj, now: datetime) -> list[Cell]:
    return [cells.name(kind), kind.get("handler", ""), cells.created(kind, now)]


KIND = Kind(RUNTIMECLASSES, RuntimeClassStrategy(), Printer((NAME, Column("Handler"), AGE), _cells))
