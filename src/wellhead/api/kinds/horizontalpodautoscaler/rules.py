"""What a valid HorizontalPodAutoscaler is.

Upstream: pkg/apis/autoscaling/validation/validation.go.
"""

from __future__ import annotations

from collections.abc import Callable

from wellhead.api.errors import Cause
from wellhead.api.formats import dns_label, path_segment
from wellhead.api.kinds.pod.compute import of_container
from wellhead.api.meta import Obj
from wellhead.api.quantity import Quantity

_SOURCES = ("ContainerResource", "External", "Object", "Pods", "Resource")
_SELECT_POLICIES = ("Disabled", "Max", "Min")
_POLICIES = ("Percent", "Pods")
_LONGEST_WINDOW = 3600
_LONGEST_PERIOD = 1800


def validate(spec: Obj) -> list[Cause]:
    """The spec, with defaults."""
    causes = []
    least, most = spec.get("minReplicas"), spec.get("maxReplicas", 0)
    if least is not None and least < 1:
        text = "must be greater than or equal to 1"
        causes.append(Cause.invalid("spec.minReplicas", least, text))
    if most == 0:
        causes.append(Cause.required("spec.maxReplicas", "must be set and greater than 0"))
    elif most < 0:
        causes.append(Cause.invalid("spec.maxReplicas", most, "must be greater than or equal to 1"))
    if least is not None and most < least:
        text = "must be greater than or equal to `minReplicas`"
        causes.append(Cause.invalid("spec.maxReplicas", most, text))
    target = spec.get("scaleTargetRef") or {}
    causes += _validate_reference(target, "spec.scaleTargetRef")
    if "/" not in (version := target.get("apiVersion") or ""):
        text = "apiVersion must specify API group"
        causes.append(Cause.invalid("spec.scaleTargetRef.apiVersion", version, text))
    for index, metric in enumerate(spec.get("metrics") or ()):
        causes += _validate_metric(metric, f"spec.metrics[{index}]")
    elsewhere = any(each.get("object") or each.get("external") for each in spec.get("metrics") or ())
    if least == 0 and not elsewhere:
        text = "must specify at least one Object or External metric to support scaling to zero replicas"
        causes.append(Cause.forbidden("spec.metrics", text))
    for direction in ("scaleUp", "scaleDown"):
        rules = (spec.get("behavior") or {}).get(direction)
        if rules is not None:
            causes += _validate_rules(rules, f"spec.behavior.{direction}")
    return causes


def _validate_reference(reference: Obj, at: str) -> list[Cause]:
    causes = []
    for field in ("kind", "name"):
        value = reference.get(field) or ""
        if not value:
            causes.append(Cause.required(f"{at}.{field}"))
        causes += [Cause.invalid(f"{at}.{field}", value, problem) for problem in path_segment(value)]
    version = reference.get("apiVersion") or ""
    if version.count("/") > 1:
        text = f"unexpected GroupVersion string: {version}"
        causes.append(Cause.invalid(f"{at}.apiVersion", version, text))
    return causes


def _validate_metric(metric: Obj, at: str) -> list[Cause]:
    kind = metric.get("type") or ""
    causes = []
    if not kind:
        causes.append(Cause.required(f"{at}.type", "must specify a metric source type"))
    if kind not in _SOURCES:
        causes.append(Cause.not_supported(f"{at}.type", kind, _SOURCES))
    present = [field for field in _CHECKS if metric.get(field) is not None]
    if present:
        causes += _CHECKS[present[0]](metric[present[0]], f"{at}.{present[0]}")
    wanted = kind[:1].lower() + kind[1:]
    if kind in _SOURCES and metric.get(wanted) is None:
        causes.append(
            Cause.required(f"{at}.{wanted}", "must populate information for the given metric source")
        )
    if len(present) != 1:
        causes += [
            Cause.forbidden(f"{at}.{field}", "must populate the given metric source only")
            for field in present
            if field != wanted
        ]
    return causes


def _validate_object(source: Obj, at: str) -> list[Cause]:
    causes = _validate_reference(source.get("describedObject") or {}, f"{at}.describedObject")
    causes += _validate_identifier(source.get("metric") or {}, f"{at}.metric")
    target = source.get("target") or {}
    causes += _validate_target(target, f"{at}.target")
    if "value" not in target and "averageValue" not in target:
        text = "must set either a target value or averageValue"
        causes.append(Cause.required(f"{at}.target.averageValue", text))
    return causes


def _validate_external(source: Obj, at: str) -> list[Cause]:
    causes = _validate_identifier(source.get("metric") or {}, f"{at}.metric")
    target = source.get("target") or {}
    causes += _validate_target(target, f"{at}.target")
    given = [field for field in ("value", "averageValue") if field in target]
    if not given:
        text = "must set either a target value for metric or a per-pod target"
        causes.append(Cause.required(f"{at}.target.averageValue", text))
    if len(given) == 2:
        text = "may not set both a target value for metric and a per-pod target"
        causes.append(Cause.forbidden(f"{at}.target.value", text))
    return causes


def _validate_pods(source: Obj, at: str) -> list[Cause]:
    causes = _validate_identifier(source.get("metric") or {}, f"{at}.metric")
    target = source.get("target") or {}
    causes += _validate_target(target, f"{at}.target")
    if "averageValue" not in target:
        text = "must specify a positive target averageValue"
        causes.append(Cause.required(f"{at}.target.averageValue", text))
    return causes


def _validate_resource(source: Obj, at: str) -> list[Cause]:
    causes = []
    if not source.get("name"):
        causes.append(Cause.required(f"{at}.name", "must specify a resource name"))
    return causes + _validate_resource_target(source, at)


def _validate_resource_target(source: Obj, at: str) -> list[Cause]:
    causes = []
    target = source.get("target") or {}
    causes += _validate_target(target, f"{at}.target")
    given = [field for field in ("averageUtilization", "averageValue") if field in target]
    if not given:
        text = "must set either a target raw value or a target utilization"
        causes.append(Cause.required(f"{at}.target.averageUtilization", text))
    if len(given) == 2:
        text = "may not set both a target raw value and a target utilization"
        causes.append(Cause.forbidden(f"{at}.target.averageValue", text))
    return causes


def _validate_container_resource(source: Obj, at: str) -> list[Cause]:
    name, causes = source.get("container") or "", []
    if not source.get("name"):
        causes.append(Cause.required(f"{at}.name", "must specify a resource name"))
    else:
        causes += of_container(source["name"], f"{at}.name")
    if not name:
        causes.append(Cause.required(f"{at}.container", "must specify a container"))
    else:
        causes += [Cause.invalid(f"{at}.container", name, problem) for problem in dns_label(name)]
    return causes + _validate_resource_target(source, at)


_CHECKS: dict[str, Callable[[Obj, str], list[Cause]]] = {
    "object": _validate_object,
    "external": _validate_external,
    "pods": _validate_pods,
    "resource": _validate_resource,
    "containerResource": _validate_container_resource,
}


def _validate_identifier(metric: Obj, at: str) -> list[Cause]:
    name = metric.get("name") or ""
    if not name:
        return [Cause.required(f"{at}.name", "must specify a metric name")]
    return [Cause.invalid(f"{at}.name", name, problem) for problem in path_segment(name)]


def _validate_target(target: Obj, at: str) -> list[Cause]:
    kind, causes = target.get("type") or "", []
    if not kind:
        causes.append(Cause.required(f"{at}.type", "must specify a metric target type"))
    if kind not in ("Utilization", "Value", "AverageValue"):
        text = "must be either Utilization, Value, or AverageValue"
        causes.append(Cause.invalid(f"{at}.type", kind, text))
    causes += [
        Cause.invalid(f"{at}.{field}", target[field], problem)
        for field in ("value", "averageValue")
        if field in target and (problem := _problem(target[field], 1, "must be positive"))
    ]
    if (share := target.get("averageUtilization")) is not None and share < 1:
        causes.append(Cause.invalid(f"{at}.averageUtilization", share, "must be greater than 0"))
    return causes


def _validate_rules(rules: Obj, at: str) -> list[Cause]:
    causes = []
    window = rules.get("stabilizationWindowSeconds")
    if window is not None and not 0 <= window <= _LONGEST_WINDOW:
        limit = "greater than or equal to zero" if window < 0 else f"less than or equal to {_LONGEST_WINDOW}"
        causes.append(Cause.invalid(f"{at}.stabilizationWindowSeconds", window, f"must be {limit}"))
    if (select := rules.get("selectPolicy")) is not None and select not in _SELECT_POLICIES:
        causes.append(Cause.not_supported(f"{at}.selectPolicy", select, _SELECT_POLICIES))
    if not rules.get("policies"):
        causes.append(Cause.required(f"{at}.policies", "must specify at least one Policy"))
    for index, policy in enumerate(rules.get("policies") or ()):
        here = f"{at}.policies[{index}]"
        if policy.get("type") not in _POLICIES:
            causes.append(Cause.not_supported(f"{here}.type", policy.get("type") or "", _POLICIES))
        causes += [
            Cause.invalid(f"{here}.{field}", policy.get(field, 0), "must be greater than zero")
            for field in ("value", "periodSeconds")
            if policy.get(field, 0) <= 0
        ]
        if (period := policy.get("periodSeconds", 0)) > _LONGEST_PERIOD:
            text = f"must be less than or equal to {_LONGEST_PERIOD}"
            causes.append(Cause.invalid(f"{here}.periodSeconds", period, text))
    if "tolerance" in rules and (
        problem := _problem(rules["tolerance"], 0, "must be greater than or equal to 0")
    ):
        causes.append(Cause.invalid(f"{at}.tolerance", rules["tolerance"], problem))
    return causes


def _problem(amount: str | float, least_nanos: int, too_little: str) -> str:
    """What is wrong with a quantity; "" if nothing is."""
    try:
        return "" if Quantity.parse(amount).nanos >= least_nanos else too_little
    except ValueError as error:
        return str(error)


def validate_status(status: Obj) -> list[Cause]:
    return [
        Cause.invalid(f"status.{field}", status[field], "must be greater than or equal to 0")
        for field in ("currentReplicas", "desiredReplicas")
        if status.get(field, 0) < 0
    ]
