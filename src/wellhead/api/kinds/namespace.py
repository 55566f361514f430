"""Namespaces."""

from __future__ import annotations

from datetime import datetime

from wellhead.api import cells
from wellhead.api.errors import Cause
from wellhead.api.formats import dns_label
from wellhead.api.kind import Kind
from wellhead.api.meta import Obj
from wellhead.api.metadata import validate_finalizers
from wellhead.api.printer import AGE, NAME, Cell, Column, Printer
from wellhead.api.strategy import Context, Strategy
from wellhead.api.well_known import NAMESPACES

_NAME_LABEL = "kubernetes.io/metadata.name"
_FINALIZER = "kubernetes"


class NamespaceStrategy(Strategy):
    name_check = staticmethod(dns_label)
    returned_when_deleted = True

    def default(self, obj: Obj) -> None:
        metadata = obj["metadata"]
        if name := metadata.get("name"):
            metadata.setdefault("labels", {})[_NAME_LABEL] = name

    def prepare_create(self, obj: Obj, context: Context) -> None:
        self.default(obj)  # once more, now that it has its name
        names = (obj.get("spec") or {}).get("finalizers") or []
        obj["spec"] = {"finalizers": names if _FINALIZER in names else [*names, _FINALIZER]}
        obj["status"] = {"phase": "Active"}

    def validate_create(self, obj: Obj) -> list[Cause]:
        names = obj["spec"]["finalizers"]
        return validate_finalizers(names, "spec.finalizers", indexed=False)

    def prepare_update(self, new: Obj, old: Obj, context: Context) -> None:
        new["spec"] = old.get("spec") or {}  # only the subresource `finalize` takes a finalizer away

    def prepare_status_update(self, new: Obj, old: Obj) -> None:
        self.default(new)  # the label is there, whatever labels are sent along

    def validate_status_update(self, new: Obj, old: Obj) -> list[Cause]:
        phase, deleting = (new["status"].get("phase"), bool(new["metadata"].get("deletionTimestamp")))
        if deleting and phase != "Terminating":
            return [
                Cause.invalid(
                    "status.Phase", phase, "may only be 'Terminating' if `deletionTimestamp` is not empty"
                )
            ]
        if not deleting and phase != "Active":
            return [
                Cause.invalid("status.Phase", phase, "may only be 'Active' if `deletionTimestamp` is empty")
            ]
        return []


def _cells(namespace: Obj, now: datetime) -> list[Cell]:
    return [
        cells.name(namespace),
        (namespace.get("status") or {}).get("phase", ""),
        cells.created(namespace, now),
    ]


_PRINTER = Printer((NAME, Column("Status"), AGE), _cells)

KIND = Kind(NAMESPACES, NamespaceStrategy(), _PRINTER)
