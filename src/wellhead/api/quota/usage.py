"""What one object uses, by the names that quotas have for it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from wellhead.api.kinds.amounts import is_native
from wellhead.api.meta import Obj, parse_time
from wellhead.api.names import CLASS_ANNOTATION
from wellhead.api.quantity import Quantity
from wellhead.api.quota.pods import amounts, pod_amounts
from wellhead.api.resource import Resource

Usage = dict[str, Quantity]

ONE = Quantity(1_000_000_000)
_NANO = 1_000_000_000
_STORAGE_CLASS = ".storageclass.storage.k8s.io/"
_DEVICE_CLASS = ".deviceclass.resource.k8s.io/devices"
_MOST_DEVICES = 32
_CLAIMS = ("persistentvolumeclaims", "requests.storage")
_COMPUTE = ("cpu", "memory", "ephemeral-storage")
_OF_PODS = frozenset({"pods", "count/pods", *_COMPUTE}).union(
    f"{kind}.{name}" for kind in ("requests", "limits") for name in _COMPUTE
)
_OF_SERVICES = frozenset({"services", "count/services", "services.nodeports", "services.loadbalancers"})
# What is counted under an older name, too.
_ALIASES = ("configmaps", "resourcequotas", "replicationcontrollers", "secrets")


def whole(number: int) -> Quantity:
    return Quantity(number * _NANO)


def names_of(resource: Resource, names: Iterable[str]) -> list[str]:
    """Which of the names of a quota are about objects of this resource."""
    covers = _COVERS.get(resource.group_resource)
    if covers is not None:
        return [name for name in names if covers(name)]
    known = counted_as(resource)
    return [name for name in names if name in known]


def counted_as(resource: Resource) -> tuple[str, ...]:
    """`count/deployments.apps`, and the older name of some kinds."""
    count = f"count/{resource.group_resource}"
    return (count, resource.plural) if resource.group_resource in _ALIASES else (count,)


def usage(resource: Resource, obj: Obj, now: datetime) -> Usage:
    """What the object uses. Raises ValueError for a quantity that is none."""
    found = dict.fromkeys(counted_as(resource), ONE)
    of = _USAGES.get(resource.group_resource)
    return found if of is None else found | of(obj, now)


def is_measured(resource: Resource) -> bool:
    """Whether objects of this resource use more than their number says."""
    return resource.group_resource in _USAGES


def _pod(pod: Obj, now: datetime) -> Usage:
    if not is_live(pod, now):
        return {}
    return {"pods": ONE} | compute(pod_amounts(pod, "requests"), pod_amounts(pod, "limits"))


def is_live(pod: Obj, now: datetime) -> bool:
    """Whether a pod still counts: it hasn't ended, and isn't stuck in its deletion."""
    if (pod.get("status") or {}).get("phase") in ("Failed", "Succeeded"):
        return False
    metadata = pod["metadata"]
    deleted, grace = metadata.get("deletionTimestamp"), metadata.get("deletionGracePeriodSeconds")
    return not (deleted and grace is not None and now > parse_time(deleted) + timedelta(seconds=grace))


def compute(requests: dict[str, Quantity], limits: dict[str, Quantity]) -> Usage:
    """Requests and limits by all names that quotas have for them."""
    found: Usage = {}
    for name, amount in requests.items():
        if name in _COMPUTE or name.startswith("hugepages-"):
            found[name] = found[f"requests.{name}"] = amount
        elif not is_native(name):
            found[f"requests.{name}"] = amount
    found |= {f"limits.{name}": amount for name, amount in limits.items() if name in _COMPUTE}
    return found


def _covers_pods(name: str) -> bool:
    if name in _OF_PODS or name.startswith(("hugepages-", "requests.hugepages-")):
        return True
    return name.startswith("requests.") and not is_native(name)


def _service(service: Obj, _: datetime) -> Usage:
    spec = service.get("spec") or {}
    ports = spec.get("ports") or ()
    node_ports = balancers = 0
    if spec.get("type") == "NodePort":
        node_ports = len(ports)
    elif spec.get("type") == "LoadBalancer":
        balancers = 1
        # Those that will be allocated count already.
        allocated = spec.get("allocateLoadBalancerNodePorts") is not False
        node_ports = len(ports) if allocated else sum(bool(port.get("nodePort")) for port in ports)
    return {
        "services": ONE,
        "services.nodeports": whole(node_ports),
        "services.loadbalancers": whole(balancers),
    }


def _claim(claim: Obj, _: datetime) -> Usage:
    spec = claim.get("spec") or {}
    found = {"persistentvolumeclaims": ONE}
    asked = amounts((spec.get("resources") or {}).get("requests")).get("storage")
    if asked is not None:
        given = amounts((claim.get("status") or {}).get("allocatedResources")).get("storage", asked)
        most = max(asked, given)
        found["requests.storage"] = Quantity(most.value * _NANO, most.format)
    annotations = (claim.get("metadata") or {}).get("annotations") or {}
    if kind := annotations.get(CLASS_ANNOTATION) or spec.get("storageClassName"):
        found |= {f"{kind}{_STORAGE_CLASS}{name}": amount for name, amount in found.items()}
    return found


def _covers_claims(name: str) -> bool:
    return name in ("count/persistentvolumeclaims", *_CLAIMS) or any(
        name.endswith(f"{_STORAGE_CLASS}{each}") for each in _CLAIMS
    )


def _devices(claim: Obj, _: datetime) -> Usage:
    """For alternatives, the most of each class that any of them would take."""
    found: dict[str, int] = defaultdict(int)
    for request in ((claim.get("spec") or {}).get("devices") or {}).get("requests") or ():
        most: dict[str, int] = {}
        for each in request.get("firstAvailable") or [request.get("exactly") or {}]:
            mode = each.get("allocationMode") or "ExactCount"
            number = {"All": _MOST_DEVICES, "ExactCount": each.get("count", 1)}.get(mode, 0)
            if kind := each.get("deviceClassName"):
                most[kind] = max(most.get(kind, 0), number)
        for kind, number in most.items():
            found[f"{kind}{_DEVICE_CLASS}"] += number
    return {name: whole(number) for name, number in found.items()}


_USAGES: dict[str, Callable[[Obj, datetime], Usage]] = {
    "pods": _pod,
    "services": _service,
    "persistentvolumeclaims": _claim,
    "resourceclaims.resource.k8s.io": _devices,
}
_COVERS: dict[str, Callable[[str], bool]] = {
    "pods": _covers_pods,
    "services": _OF_SERVICES.__contains__,
    "persistentvolumeclaims": _covers_claims,
    "resourceclaims.resource.k8s.io": lambda name: (
        name == "count/resourceclaims.resource.k8s.io" or name.endswith(_DEVICE_CLASS)
    ),
}
