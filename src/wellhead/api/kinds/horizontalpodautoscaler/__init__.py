"""HorizontalPodAutoscalers: their rules, versions and columns."""

from __future__ import annotations

from datetime import datetime

from wellhead.api import cells
from wellhead.api.kind import Kind
from wellhead.api.kinds.horizontalpodautoscaler.conversion import to_v2
from wellhead.api.kinds.horizontalpodautoscaler.resource import (
    HORIZONTALPODAUTOSCALERS,
    HORIZONTALPODAUTOSCALERS_V1,
)
from wellhead.api.kinds.horizontalpodautoscaler.strategy import (
    HorizontalPodAutoscalerStrategy,
    HorizontalPodAutoscalerV1Strategy,
)
from wellhead.api.meta import Obj
from wellhead.api.printer import AGE, NAME, Cell, Column, Printer

_UNKNOWN = "<unknown>"
_SHOWN = 2


def _targets(metrics: list[Obj], current: list[Obj]) -> str:
    shown = [
        _target(metric, current[index] if index < len(current) else {})
        for index, metric in enumerate(metrics)
    ]
    if not shown:
        return cells.NONE
    text = ", ".join(shown[:_SHOWN])
    return text if len(shown) <= _SHOWN else f"{text} + {len(shown) - _SHOWN} more..."


def _target(metric: Obj, current: Obj) -> str:
    field = metric["type"][:1].lower() + metric["type"][1:]
    target = (metric.get(field) or {}).get("target") or {}
    now = (current.get(field) or {}).get("current") or {}
    prefix = f"{metric[field]['name']}: " if "esource" in field else ""
    if "averageValue" in target:
        suffix = " (avg)" if field in ("object", "external") else ""
        return f"{prefix}{now.get('averageValue', _UNKNOWN)}/{target['averageValue']}{suffix}"
    if "averageUtilization" in target:
        share = now.get("averageUtilization")
        return f"{prefix}{_UNKNOWN if share is None else f'{share}%'}/{target['averageUtilization']}%"
    return f"{prefix}{now.get('value', _UNKNOWN)}/{target.get('value', _UNKNOWN)}"


def _cells(autoscaler: Obj, now: datetime) -> list[Cell]:
    if autoscaler.get("apiVersion") == "autoscaling/v1":
        autoscaler = to_v2(autoscaler)
    spec, status = autoscaler["spec"], autoscaler.get("status") or {}
    target = spec.get("scaleTargetRef") or {}
    return [
        cells.name(autoscaler),
        f"{target.get('kind', '')}/{target.get('name', '')}",
        _targets(spec.get("metrics") or [], status.get("currentMetrics") or []),
        str(spec.get("minReplicas", "<unset>")),
        spec.get("maxReplicas", 0),
        status.get("currentReplicas", 0),
        cells.created(autoscaler, now),
    ]


_PRINTER = Printer(
    (
        NAME,
        Column("Reference"),
        Column("Targets"),
        Column("MinPods"),
        Column("MaxPods"),
        Column("Replicas"),
        AGE,
    ),
    _cells,
)

KINDS = (
    Kind(HORIZONTALPODAUTOSCALERS, HorizontalPodAutoscalerStrategy(), _PRINTER),
    Kind(HORIZONTALPODAUTOSCALERS_V1, HorizontalPodAutoscalerV1Strategy(), _PRINTER),
)
