"""Whether a quota allows a write, and what it has used then."""

from __future__ import annotations

from datetime import datetime

from wellhead.api.meta import Obj
from wellhead.api.quantity import Quantity
from wellhead.api.quota.pods import Amounts, amounts, plus
from wellhead.api.quota.scopes import counts, is_terminating
from wellhead.api.quota.usage import Usage, compute, names_of, usage
from wellhead.api.resource import Resource

_ZERO = Quantity(0)
# Who limits these has to be told them for every container. Upstream regrets it, and keeps it.
_MUST_BE_SAID = frozenset({"cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"})


class Exceeded(Exception):
    """A quota doesn't allow it; the text says why."""


def handles(operation: str, resource: Resource, subresource: str, new: Obj, old: Obj) -> bool:
    """Whether such a write may use more of a quota."""
    match resource.group_resource, subresource, operation:
        case "pods", "", "UPDATE":
            return is_terminating(new) != is_terminating(old)
        case "pods", "resize", "UPDATE":
            return True
        case "persistentvolumeclaims", "status", "UPDATE":
            return bool(_allocated(new) != _allocated(old))
        case "services" | "persistentvolumeclaims" | "resourceclaims.resource.k8s.io", "", "UPDATE":
            return True
        case _, "", "CREATE":
            return True
    return False


def demand(quota: Obj, resource: Resource, new: Obj, old: Obj, now: datetime) -> Usage:
    """How much more of what the quota limits is used when `new` takes `old`'s place ({}: takes none).

    Raises Exceeded if the quota can't tell.
    """
    if not counts(quota, resource, new):
        return {}
    name, status = quota["metadata"]["name"], quota.get("status") or {}
    restricted = names_of(resource, status.get("hard") or {})
    if resource.group_resource == "pods" and (missing := unsaid(restricted, new)):
        raise Exceeded(f"failed quota: {name}: must specify {missing}")
    if unknown := sorted(set(restricted) - set(status.get("used") or {})):
        raise Exceeded(f"status unknown for quota: {name}, resources: {','.join(unknown)}")
    wanted = usage(resource, new, now)
    if negative := sorted(each for each, amount in wanted.items() if amount.nanos < 0):
        raise Exceeded(f"quota usage is negative for resource(s): {','.join(negative)}")
    if old and counts(quota, resource, old):
        before = usage(resource, old, now)
        wanted = {each: amount - before.get(each, _ZERO) for each, amount in wanted.items()}
    hard = status.get("hard") or {}
    return {each: amount for each, amount in wanted.items() if each in hard and amount.nanos > 0}


def charged(quota: Obj, more: Amounts, *, check: bool = True) -> dict[str, Quantity]:
    """What is used with `more`. Raises Exceeded if that is more than there may be."""
    status = quota.get("status") or {}
    used, hard = amounts(status.get("used")), amounts(status.get("hard"))
    after = plus(used, more)
    if check and (over := sorted(name for name in more if after[name] > hard[name])):
        raise Exceeded(
            f"exceeded quota: {quota['metadata']['name']}, requested: {_listed(over, more)}, "
            f"used: {_listed(over, used)}, limited: {_listed(over, hard)}"
        )
    return after


def unsaid(restricted: list[str], pod: Obj) -> str:
    """`limits.cpu for: a,b; requests.memory for: c`: what containers leave open."""
    wanted = _MUST_BE_SAID.intersection(restricted)
    spec = pod.get("spec") or {}
    own = spec.get("resources") or {}
    if any(amounts(own.get(kind)) for kind in ("requests", "limits")):
        return ""
    missing: dict[str, list[str]] = {}
    for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
        resources = container.get("resources") or {}
        said = compute(amounts(resources.get("requests")), amounts(resources.get("limits")))
        for name in wanted.difference(said):
            missing.setdefault(name, []).append(container["name"])
    return "; ".join(f"{name} for: {','.join(sorted(missing[name]))}" for name in sorted(missing))


def _listed(names: list[str], values: Amounts) -> str:
    return ",".join(f"{name}={values.get(name, _ZERO)}" for name in names)


def _allocated(claim: Obj) -> object:
    return ((claim.get("status") or {}).get("allocatedResources") or {}).get("storage")
