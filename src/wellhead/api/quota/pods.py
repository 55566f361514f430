"""What a pod requests and is limited to in all.

Upstream: PodRequests and PodLimits in component-helpers' resource/helpers.go (KEP-753, KEP-1287, KEP-2837).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from wellhead.api.meta import Obj, condition
from wellhead.api.quantity import Quantity

Amounts = Mapping[str, Quantity]
Which = Literal["requests", "limits"]
_ZERO = Quantity(0)


def amounts(resources: Obj | None) -> dict[str, Quantity]:
    """A map of names to texts as quantities."""
    return {name: Quantity.parse(text) for name, text in (resources or {}).items()}


def plus(one: Amounts, other: Amounts) -> dict[str, Quantity]:
    return {
        name: one[name] + other[name] if name in one and name in other else one.get(name) or other[name]
        for name in (*one, *(name for name in other if name not in one))
    }


def largest(every: Iterable[Amounts]) -> dict[str, Quantity]:
    found: dict[str, Quantity] = {}
    for each in every:
        for name, amount in each.items():
            found[name] = max(found.get(name, amount), amount)
    return found


def pod_amounts(pod: Obj, which: Which) -> dict[str, Quantity]:
    """The sum over what runs at the same time; of what runs before, the largest; and the overhead."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    states = {
        each["name"]: each
        for field in ("containerStatuses", "initContainerStatuses")
        for each in status.get(field) or ()
    }
    infeasible = (condition(pod, "PodResizePending") or {}).get("reason") == "Infeasible"
    total: dict[str, Quantity] = {}
    for container in spec.get("containers") or ():
        total = plus(total, _effective(container, states, which, infeasible=infeasible))
    beside: dict[str, Quantity] = {}  # what sidecars that have started by then take
    first: dict[str, Quantity] = {}
    for container in spec.get("initContainers") or ():
        if container.get("restartPolicy") == "Always":
            own: Amounts = _effective(container, states, which, infeasible=infeasible)
            total, beside = plus(total, own), plus(beside, own)
            first = largest((first, beside))
        else:
            first = largest((first, plus(_of(container, which), beside)))
    total = largest((total, first))
    for name, amount in _as_a_whole(spec, status, which, infeasible=infeasible).items():
        if name in ("cpu", "memory") or name.startswith("hugepages-"):
            total[name] = amount
    for name, amount in amounts(spec.get("overhead")).items():
        if which == "requests" or total.get(name, _ZERO).nanos:
            total[name] = total[name] + amount if name in total else amount
    return total


def _of(container: Obj, which: Which) -> dict[str, Quantity]:
    return amounts((container.get("resources") or {}).get(which))


def _as_a_whole(spec: Obj, status: Obj, which: Which, *, infeasible: bool) -> dict[str, Quantity]:
    """What the pod itself asks for; while that is being resized, the larger of what it has and shall have."""
    wanted, state = amounts((spec.get("resources") or {}).get(which)), status.get("resources")
    if state is None or not wanted:
        return wanted
    known = [_of(status, which)]
    if which == "requests":
        known.append(amounts(status.get("allocatedResources")))
    if not infeasible:
        known.append(wanted)
    found = largest(known)
    return {name: found.get(name, amount) for name, amount in wanted.items()}


def _effective(container: Obj, states: Obj, which: Which, *, infeasible: bool) -> dict[str, Quantity]:
    """While it is being resized, the larger of what it has and shall have."""
    state = states.get(container["name"]) or {}
    if state.get("resources") is None:
        return _of(container, which)
    known = [_of(state, which)]
    if which == "requests":
        known.append(amounts(state.get("allocatedResources")))
    if not infeasible:
        known.append(_of(container, which))
    return largest(known)
