"""A pod's class of service quality. Upstream: pkg/apis/core/helper/qos."""

from __future__ import annotations

from wellhead.api.kinds.pod.spec import containers_of
from wellhead.api.meta import Obj
from wellhead.api.quantity import Quantity

_QOS_RESOURCES = ("cpu", "memory")


def qos_class(spec: Obj) -> str:
    """Guaranteed, Burstable or BestEffort, from requests and limits of CPU and memory.

    Those of the pod as a whole, if it has any, else its containers'.
    """
    any_given = False
    guaranteed = True
    whole = spec.get("resources")
    for resources in [whole] if whole else [each["resources"] for each in containers_of(spec)]:
        limits, requests = (resources.get(kind) or {} for kind in ("limits", "requests"))
        any_given = any_given or any(
            _positive(given, r) for given in (limits, requests) for r in _QOS_RESOURCES
        )
        guaranteed = guaranteed and all(
            _positive(limits, resource) and requests.get(resource) == limits[resource]
            for resource in _QOS_RESOURCES
        )
    if not any_given:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"


def _positive(amounts: dict[str, str], resource: str) -> bool:
    try:
        return Quantity.parse(amounts.get(resource, "0")).nanos > 0
    except ValueError:
        return False
