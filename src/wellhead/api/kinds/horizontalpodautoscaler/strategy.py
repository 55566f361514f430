"""HorizontalPodAutoscalers: defaults, and what differs between their versions.

Upstream: pkg/apis/autoscaling/v2/defaults.go.
"""

from __future__ import annotations

from typing import Any

from wellhead.api.errors import Cause
from wellhead.api.kinds.horizontalpodautoscaler.conversion import to_v1, to_v2
from wellhead.api.kinds.horizontalpodautoscaler.rules import validate, validate_status
from wellhead.api.meta import Obj
from wellhead.api.strategy import Context, Strategy

DEFAULT_UTILIZATION = 80
_SCALE_UP: dict[str, Any] = {
    "stabilizationWindowSeconds": 0,
    "selectPolicy": "Max",
    "policies": [
        {"type": "Pods", "value": 4, "periodSeconds": 15},
        {"type": "Percent", "value": 100, "periodSeconds": 15},
    ],
}
_SCALE_DOWN: dict[str, Any] = {
    "selectPolicy": "Max",
    "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}],
}


_NEW_STATUS = {"currentMetrics": None, "desiredReplicas": 0}  # as Go writes it


class HorizontalPodAutoscalerStrategy(Strategy):
    def default(self, obj: Obj) -> None:
        spec: Obj = obj.setdefault("spec", {})
        spec.setdefault("minReplicas", 1)
        if not spec.get("metrics"):
            target = {"type": "Utilization", "averageUtilization": DEFAULT_UTILIZATION}
            spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
        if (behavior := spec.get("behavior")) is not None:
            behavior["scaleUp"] = {**_SCALE_UP, **(behavior.get("scaleUp") or {})}
            behavior["scaleDown"] = {**_SCALE_DOWN, **(behavior.get("scaleDown") or {})}

    def prepare_create(self, obj: Obj, context: Context) -> None:
        obj["status"] = dict(_NEW_STATUS)

    def validate(self, obj: Obj) -> list[Cause]:
        return validate(obj["spec"])

    def validate_status_update(self, new: Obj, old: Obj) -> list[Cause]:
        return validate_status(new["status"])


class HorizontalPodAutoscalerV1Strategy(Strategy):
    def default(self, obj: Obj) -> None:
        obj.setdefault("spec", {}).setdefault("minReplicas", 1)

    def prepare_create(self, obj: Obj, context: Context) -> None:
        obj["status"] = {"desiredReplicas": 0}

    def validate(self, obj: Obj) -> list[Cause]:
        stored = self.to_storage(obj)
        causes = validate(stored["spec"])
        if (share := obj["spec"].get("targetCPUUtilizationPercentage")) is not None and share < 1:
            text = "must be greater than 0"
            return [*causes, Cause.invalid("spec.targetCPUUtilizationPercentage", share, text)]
        return causes

    def validate_status_update(self, new: Obj, old: Obj) -> list[Cause]:
        return validate_status(new["status"])

    def to_storage(self, obj: Obj) -> Obj:
        stored = to_v2(obj)
        HorizontalPodAutoscalerStrategy().default(stored)
        return stored

    def from_storage(self, obj: Obj) -> Obj:
        return to_v1(obj)
