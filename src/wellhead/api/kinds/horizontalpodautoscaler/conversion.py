"""autoscaling/v1 and v2 of one object: what v1 has no field for is in its annotations.

Upstream: pkg/apis/autoscaling/v1/conversion.go, and v2's, which drop the annotations.
"""

from __future__ import annotations

import msgspec

from wellhead.api.meta import Obj

_PREFIX = "autoscaling.alpha.kubernetes.io/"
_METRICS, _CURRENT = f"{_PREFIX}metrics", f"{_PREFIX}current-metrics"
_CONDITIONS, _BEHAVIOR = f"{_PREFIX}conditions", f"{_PREFIX}behavior"
_ALL = (_METRICS, _CURRENT, _CONDITIONS, _BEHAVIOR)


def to_v1(obj: Obj) -> Obj:
    """A v2 object as v1."""
    spec, status = dict(obj.get("spec") or {}), dict(obj.get("status") or {})
    annotations: dict[str, str] = {}

    def note(name: str, value: object) -> None:
        if value:
            annotations[name] = msgspec.json.encode(value).decode()

    metrics, current = list(spec.pop("metrics", None) or ()), list(status.pop("currentMetrics", None) or ())
    cpu = next(filter(_is_cpu, metrics), None)
    if cpu is not None:
        spec["targetCPUUtilizationPercentage"] = cpu["resource"]["target"]["averageUtilization"]
    note(_METRICS, [each for each in metrics if each is not cpu])
    for entry in current:
        value = (entry.get("resource") or {}).get("current") or {}
        if (entry.get("resource") or {}).get("name") == "cpu" and "averageUtilization" in value:
            status["currentCPUUtilizationPercentage"] = value["averageUtilization"]
            break
    note(_CURRENT, current)
    note(_CONDITIONS, status.pop("conditions", None))
    note(_BEHAVIOR, spec.pop("behavior", None))
    metadata = dict(obj["metadata"])
    if annotations:
        metadata["annotations"] = {**(metadata.get("annotations") or {}), **annotations}
    return {**obj, "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec, "status": status}


def to_v2(obj: Obj) -> Obj:
    """A v1 object as v2. An annotation that can't be read says nothing."""
    metadata = dict(obj["metadata"])
    annotations = dict(metadata.get("annotations") or {})
    noted = {name: _read(annotations.pop(name)) for name in _ALL if name in annotations}
    if annotations:
        metadata["annotations"] = annotations
    else:
        metadata.pop("annotations", None)
    spec, status = dict(obj.get("spec") or {}), dict(obj.get("status") or {})
    metrics = list(noted.get(_METRICS) or ())
    share = spec.pop("targetCPUUtilizationPercentage", None)
    if share is not None:
        target = {"type": "Utilization", "averageUtilization": share}
        metrics.insert(0, {"type": "Resource", "resource": {"name": "cpu", "target": target}})
    if metrics:
        spec["metrics"] = metrics
    if behavior := noted.get(_BEHAVIOR):
        spec["behavior"] = behavior
    status.pop("currentCPUUtilizationPercentage", None)
    for name, field in ((_CURRENT, "currentMetrics"), (_CONDITIONS, "conditions")):
        if value := noted.get(name):
            status[field] = value
    converted: Obj = {**obj, "apiVersion": "autoscaling/v2", "metadata": metadata, "spec": spec}
    return converted | ({"status": status} if "status" in obj else {})


def _is_cpu(metric: Obj) -> bool:
    resource = metric.get("resource") or {}
    return resource.get("name") == "cpu" and "averageUtilization" in (resource.get("target") or {})


def _read(text: str) -> Obj | list[Obj] | None:
    try:
        found = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return None
    return found if isinstance(found, dict | list) else None
