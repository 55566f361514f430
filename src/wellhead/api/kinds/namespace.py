"""Namespaces."""

from __future__ import annotations

from wellhead.api.errors import Cause
from wellhead.api.formats import dns_label
from wellhead.api.meta import Obj
from wellhead.api.strategy import Context, Strategy

_NAME_LABEL = "kubernetes.io/metadata.name"
_FINALIZER = "kubernetes"


class NamespaceStrategy(Strategy):
    name_check = staticmethod(dns_label)

    def default(self, obj: Obj) -> None:
        metadata = obj["metadata"]
        if name := metadata.get("name"):
            metadata.setdefault("labels", {})[_NAME_LABEL] = name

    def prepare_create(self, obj: Obj, context: Context) -> None:
        obj["spec"] = {"finalizers": [_FINALIZER]}
        obj["status"] = {"phase": "Active"}

    def prepare_update(self, new: Obj, old: Obj, context: Context) -> None:
        new["spec"] = old.get("spec") or {}  # only the subresource `finalize` takes a finalizer away

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


STRATEGIES = {"": NamespaceStrategy()}
