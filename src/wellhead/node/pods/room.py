"""Whether a node has room for what a pod asks for, beside what the others hold. Pure.

What counts is what the node has granted (allocated): what a resize asks for counts once it is granted.
Source: pkg/scheduler/framework/plugins/noderesources/fit.go and component-helpers' PodRequests of v1.36.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from wellhead.api.meta import Obj
from wellhead.api.quantity import Quantity
from wellhead.api.quota.pods import pod_amounts
from wellhead.node.pods import spec

Amounts = Mapping[str, int]
"""By resource: thousandths of a processor for cpu, else whole units."""
Allocated = Mapping[str, Obj]
"""What is granted to containers, by their names: the `resources` of each; to the pod as a whole: WHOLE."""

WHOLE = ""

_OF_CGROUPS = ("cpu", "memory")
_NATIVE = ("cpu", "memory", "ephemeral-storage")


@dataclass(frozen=True)
class Shortage:
    """A resource of which too little is left."""

    resource: str
    requested: int
    used: int
    capacity: int

    def __str__(self) -> str:
        return (
            f"Node didn't have enough resource: {self.resource}, requested: {self.requested}, "
            f"used: {self.used}, capacity: {self.capacity}"
        )


def asked(pod: Obj) -> dict[str, Obj]:
    """What the pod's containers ask for, and it as a whole."""
    found = {
        each["name"]: dict(each.get("resources") or {})
        for each in (*spec.init_containers(pod), *spec.containers(pod))
    }
    if whole := pod["spec"].get("resources"):
        found[WHOLE] = dict(whole)
    return found


def within(resources: Obj, whole: Obj | None) -> Obj:
    """A container's resources; what has no limit there, but in its pod as a whole, has that one."""
    limits = (whole or {}).get("limits") or {}
    own = resources.get("limits") or {}
    lacking = {name: limits[name] for name in ("cpu", "memory") if name in limits and name not in own}
    return {**resources, "limits": {**own, **lacking}} if lacking else resources


def granted(pod: Obj, allocated: Allocated) -> Obj:
    """The pod as if it asked for what it was granted, without what its status says of a resize."""
    changed = {
        kind: [
            each | {"resources": allocated[each["name"]]} if each["name"] in allocated else each
            for each in pod["spec"].get(kind) or ()
        ]
        for kind in ("initContainers", "containers")
    }
    whole = {"resources": allocated[WHOLE]} if WHOLE in allocated else {}
    return {"metadata": pod["metadata"], "spec": {**pod["spec"], **changed, **whole}}


def together(pod: Obj) -> Obj:
    """The `resources` of a pod in all, as `granted` gives it: what counts for its cgroup.

    It is limited if it is as a whole, or if each of its containers is.
    """
    whole = (pod["spec"].get("resources") or {}).get("limits") or {}
    everyone = [*spec.init_containers(pod), *spec.containers(pod)]
    own = [(each.get("resources") or {}).get("limits") or {} for each in everyone]
    limited = [name for name in _OF_CGROUPS if name in whole or all(name in each for each in own)]
    found = {"requests": pod_amounts(pod, "requests"), "limits": pod_amounts(pod, "limits")}
    names = {"requests": _OF_CGROUPS, "limits": limited}
    return {
        kind: texts
        for kind, listed in found.items()
        if (texts := {name: str(listed[name]) for name in names[kind] if name in listed})
    }


def requests(pod: Obj) -> dict[str, int]:
    """What a pod takes, as `granted` gives it."""
    return {
        name: amount.milli_value if name == "cpu" else amount.value
        for name, amount in pod_amounts(pod, "requests").items()
    }


def shortages(pod: Obj, others: Iterable[Obj], allocatable: Mapping[str, int]) -> list[Shortage]:
    """What the node lacks for the pod, the number of pods first; all of them as `granted` gives them."""
    others = list(others)
    found = []
    if "pods" in allocatable and len(others) + 1 > allocatable["pods"]:
        found.append(Shortage("pods", 1, len(others), allocatable["pods"]))
    wanted = {name: amount for name, amount in requests(pod).items() if amount > 0}
    if not wanted:
        return found
    used: dict[str, int] = {}
    for other in others:
        for name, amount in requests(other).items():
            used[name] = used.get(name, 0) + amount
    # What no node has is somebody else's business: a resource of the whole cluster.
    known = [name for name in (*_NATIVE, *sorted(wanted.keys() - _NATIVE)) if name in allocatable]
    found += [
        Shortage(name, wanted[name], used.get(name, 0), allocatable[name])
        for name in known
        if wanted.get(name, 0) and used.get(name, 0) + wanted[name] > allocatable[name]
    ]
    return found


def whole(allocatable: Mapping[str, str]) -> dict[str, int]:
    """A node's allocatable in the units of `Amounts`."""
    parsed = {name: Quantity.parse(text) for name, text in allocatable.items()}
    return {name: each.milli_value if name == "cpu" else each.value for name, each in parsed.items()}
