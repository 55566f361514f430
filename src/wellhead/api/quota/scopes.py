"""Which objects a quota is about: its scopes."""

from __future__ import annotations

from wellhead.api.meta import Obj
from wellhead.api.quota.pods import amounts
from wellhead.api.quota.usage import names_of
from wellhead.api.resource import Resource


def selectors(quota: Obj) -> list[Obj]:
    """The quota's scopes, all as selectors: it is about what matches every one of them."""
    spec = quota.get("spec") or {}
    plain = [{"scopeName": scope, "operator": "Exists"} for scope in spec.get("scopes") or ()]
    return plain + list((spec.get("scopeSelector") or {}).get("matchExpressions") or ())


def counts(quota: Obj, resource: Resource, obj: Obj) -> bool:
    """Whether the quota counts this object: something of what is limited, and all scopes, are about it."""
    hard = (quota.get("status") or {}).get("hard") or {}
    return bool(names_of(resource, hard)) and all(matches(each, resource, obj) for each in selectors(quota))


def matches(selector: Obj, resource: Resource, obj: Obj) -> bool:
    """Whether a scope is about the object."""
    scope = selector.get("scopeName")
    spec = obj.get("spec") or {}
    match resource.group_resource, scope:
        case "pods", "Terminating":
            return is_terminating(obj)
        case "pods", "NotTerminating":
            return not is_terminating(obj)
        case "pods", "BestEffort":
            return _is_best_effort(spec)
        case "pods", "NotBestEffort":
            return not _is_best_effort(spec)
        case "pods", "PriorityClass":
            name = spec.get("priorityClassName")
            return _selects(selector, [name] if name else [])
        case "pods", "CrossNamespacePodAffinity":
            return _reaches_other_namespaces(spec)
        case "persistentvolumeclaims", "VolumeAttributesClass":
            return _selects(selector, _attribute_classes(obj))
    return False


def is_terminating(pod: Obj) -> bool:
    """Whether the pod ends by itself, at its deadline."""
    deadline = (pod.get("spec") or {}).get("activeDeadlineSeconds")
    return deadline is not None and deadline >= 0


def _is_best_effort(spec: Obj) -> bool:
    holders = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ()), spec]
    return not any(
        amount.nanos
        for holder in holders
        for kind in ("requests", "limits")
        for name, amount in amounts((holder.get("resources") or {}).get(kind)).items()
        if name in ("cpu", "memory")
    )


def _selects(selector: Obj, values: list[str]) -> bool:
    """Whether one of the values (or there being none) is what the selector wants."""
    wanted = selector.get("values") or []
    match selector.get("operator"):
        case "Exists":
            return bool(values)
        case "DoesNotExist":
            return not values
        case "In":
            return any(value in wanted for value in values)
        case "NotIn":
            return not values or any(value not in wanted for value in values)
    return False


def _reaches_other_namespaces(spec: Obj) -> bool:
    affinity = spec.get("affinity") or {}
    terms: list[Obj] = []
    for kind in ("podAffinity", "podAntiAffinity"):
        rules = affinity.get(kind) or {}
        terms += rules.get("requiredDuringSchedulingIgnoredDuringExecution") or ()
        preferred = rules.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        terms += [each.get("podAffinityTerm") or {} for each in preferred]
    return any(term.get("namespaces") or term.get("namespaceSelector") is not None for term in terms)


def _attribute_classes(claim: Obj) -> list[str]:
    status = claim.get("status") or {}
    names = (
        (claim.get("spec") or {}).get("volumeAttributesClassName"),
        status.get("currentVolumeAttributesClassName"),
        (status.get("modifyVolumeStatus") or {}).get("targetVolumeAttributesClassName"),
    )
    return sorted({name for name in names if name})
