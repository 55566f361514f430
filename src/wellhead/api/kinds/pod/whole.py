"""The resources of a pod as a whole (KEP-2837): what they default to, and how they go with its containers'.

Upstream: defaultPodRequests and defaultHugePagePodLimits in pkg/apis/core/v1/defaults.go,
validatePodResourceConsistency in pkg/apis/core/validation/validation.go.
"""

from __future__ import annotations

from collections.abc import Iterator

from wellhead.api.errors import Cause
from wellhead.api.meta import Obj
from wellhead.api.quantity import Quantity
from wellhead.api.quota.pods import Amounts, Which, pod_amounts

RESOURCES = ("cpu", "memory")
HUGE_PAGES = "hugepages-"


def default_whole(spec: Obj) -> None:
    """What isn't requested of a limited resource is what containers request, else the limit.

    To be called when containers have their defaults.
    """
    resources = spec.get("resources")
    if not resources or not (resources.get("limits") or resources.get("requests")):
        return
    try:
        _default(spec, resources)
    except ValueError:
        return  # somebody's amount is none: for validation


def _default(spec: Obj, resources: Obj) -> None:
    limits, requests = dict(resources.get("limits") or {}), dict(resources.get("requests") or {})
    for name, amount in _of_containers(spec, "limits").items():
        if name.startswith(HUGE_PAGES) and name not in requests:
            limits.setdefault(name, str(amount))
    if limits:
        resources["limits"] = limits
        for name, amount in _of_containers(spec, "requests").items():
            if name in RESOURCES:
                requests.setdefault(name, str(amount))
        for name, text in limits.items():
            if name in RESOURCES or name.startswith(HUGE_PAGES):
                requests.setdefault(name, text)
    if requests:
        resources["requests"] = requests


def validate_whole(spec: Obj, at: str) -> Iterator[Cause]:
    """That containers don't ask for more than the pod; none may have a higher limit by itself."""
    resources = spec.get("resources") or {}
    try:
        requests, limits = (_amounts(resources.get(which)) for which in ("requests", "limits"))
        for name, amount in _of_containers(spec, "requests").items():
            if name in requests and amount > requests[name]:
                text = f"must be greater than or equal to aggregate container requests of {amount}"
                yield Cause.invalid(f"{at}.requests[{name}]", str(requests[name]), text)
        for name, amount in _of_containers(spec, "limits").items():
            if name.startswith(HUGE_PAGES) and name in limits and amount > limits[name]:
                text = f"must be greater than or equal to aggregate container limits of {amount}"
                yield Cause.invalid(f"{at}.limits[{name}]", str(limits[name]), text)
        for index, container in enumerate(spec.get("containers") or ()):
            for name, amount in _amounts((container.get("resources") or {}).get("limits")).items():
                if name in limits and amount > limits[name]:
                    text = f"must be less than or equal to pod limits of {limits[name]}"
                    yield Cause.invalid(f"{at}.containers[{index}][{name}].limits", str(amount), text)
    except ValueError:
        return  # what is no amount has been said


def _of_containers(spec: Obj, which: Which) -> Amounts:
    containers = {name: spec.get(name) for name in ("containers", "initContainers")}
    return pod_amounts({"spec": containers}, which)


def _amounts(texts: Obj | None) -> Amounts:
    return {name: Quantity.parse(text) for name, text in (texts or {}).items()}
