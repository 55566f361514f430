"""Events: stored once, as core/v1; events.k8s.io/v1 is another form of the same object.

Upstream: pkg/apis/core/validation/events.go, pkg/apis/events/v1/conversion.go.
"""

from __future__ import annotations

from wellhead.api.errors import Cause
from wellhead.api.meta import Obj
from wellhead.api.resources import EVENTS, EVENTS_V1
from wellhead.api.strategy import Strategy

_TYPES = ("Normal", "Warning")
_CLUSTER_NAMESPACES = ("", "default", "kube-system")

# core/v1 field, events.k8s.io/v1 field
_RENAMED = (
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
)


class CoreEventStrategy(Strategy):
    def validate(self, obj: Obj) -> list[Cause]:
        return _validate_namespace(obj, "involvedObject")


class EventStrategy(Strategy):
    def to_storage(self, obj: Obj) -> Obj:
        return _renamed(obj, {new: old for old, new in _RENAMED}, EVENTS.api_version)

    def from_storage(self, obj: Obj) -> Obj:
        return _renamed(obj, dict(_RENAMED), EVENTS_V1.api_version)

    def validate_create(self, obj: Obj) -> list[Cause]:
        causes = _validate_namespace(obj, "regarding")
        causes += [
            Cause.required(field)
            for field in ("eventTime", "reportingController", "reportingInstance", "action", "reason")
            if not obj.get(field)
        ]
        if obj.get("type") not in _TYPES:
            causes.append(Cause.invalid("type", obj.get("type", ""), "has invalid value"))
        return causes


def _validate_namespace(obj: Obj, field: str) -> list[Cause]:
    namespace, target = obj["metadata"].get("namespace"), (obj.get(field) or {}).get("namespace") or ""
    if target == namespace or (not target and namespace in _CLUSTER_NAMESPACES):
        return []
    return [Cause.invalid("involvedObject.namespace", target, "does not match event.namespace")]


def _renamed(obj: Obj, names: dict[str, str], api_version: str) -> Obj:
    return {names.get(field, field): value for field, value in obj.items()} | {"apiVersion": api_version}


STRATEGIES = {EVENTS.group: CoreEventStrategy(), EVENTS_V1.group: EventStrategy()}
