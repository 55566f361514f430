"""What containers and pods request and are limited to.

Upstream: validateResourceRequirements, validateResizePolicy and what they call, in
pkg/apis/core/validation/validation.go, and pkg/apis/core/helper.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

from wellhead.api.errors import Cause, one_of
from wellhead.api.formats import dns_label, qualified_name
from wellhead.api.kinds.amounts import is_extended, is_native, validate_amount
from wellhead.api.meta import Obj
from wellhead.api.quantity import Quantity

_OF_CONTAINERS = frozenset({"cpu", "memory", "ephemeral-storage"})
_HUGE_PAGES = "hugepages-"
STANDARD = _OF_CONTAINERS.union(
    (f"{kind}.{name}" for kind in ("requests", "limits") for name in _OF_CONTAINERS),
    ("pods", "resourcequotas", "services", "replicationcontrollers", "secrets", "configmaps"),
    ("persistentvolumeclaims", "storage", "requests.storage", "services.nodeports"),
    ("services.loadbalancers",),
)
"""The resources that need no domain."""

CheckName = Callable[[str, str], Iterator[Cause]]
"""What speaks against a resource's name, at a path."""


def validate_resources(resources: Obj, at: str, claims: Sequence[str]) -> Iterator[Cause]:
    """A container's resources. `claims` are the names of its pod's resourceClaims."""
    yield from _validate_amounts(resources, at, of_container)
    yield from _validate_claims(resources.get("claims") or (), f"{at}.claims", claims)


def validate_pod_resources(resources: Obj, at: str) -> Iterator[Cause]:
    """A pod's own resources."""
    if resources.get("claims"):
        yield Cause.forbidden(f"{at}.claims", "claims may not be set for Resources at pod-level")
    yield from _validate_amounts(resources, at, _of_pod)


def validate_overhead(overhead: Obj, at: str) -> Iterator[Cause]:
    yield from _validate_amounts({"limits": overhead}, at, of_container)


def validate_resize_policy(policies: Sequence[Obj], at: str, restart_policy: str) -> Iterator[Cause]:
    names: set[str] = set()
    for index, policy in enumerate(policies):
        name, restarts = policy.get("resourceName") or "", policy.get("restartPolicy") or ""
        if name in names:
            yield Cause.duplicate(f"{at}[{index}]", name)
        names.add(name)
        for value, supported in ((name, ("cpu", "memory")), (restarts, ("NotRequired", "RestartContainer"))):
            if not value:
                yield Cause.required(at)
            else:
                yield from one_of(at, value, supported)
        if restart_policy == "Never" and restarts != "NotRequired":
            text = "must be 'NotRequired' when pod `restartPolicy` is 'Never'"
            yield Cause.invalid(at, restarts, text)


def _validate_amounts(resources: Obj, at: str, check_name: CheckName) -> Iterator[Cause]:
    amounts: dict[tuple[str, str], Quantity] = {}
    for kind in ("limits", "requests"):
        for name, text in (resources.get(kind) or {}).items():
            here = f"{at}.{kind}[{name}]"
            yield from check_name(name, here)
            yield from validate_amount(name, text, here)
            with contextlib.suppress(ValueError):
                amounts[kind, name] = amount = Quantity.parse(text)
                yield from _validate_pages(name, amount, here)
    for (kind, name), amount in amounts.items():
        if kind == "requests":
            yield from _compare(name, amount, amounts.get(("limits", name)), at)
    named = {name for _, name in amounts}
    if any(name.startswith(_HUGE_PAGES) for name in named) and not named & {"cpu", "memory"}:
        yield Cause.forbidden(at, "HugePages require cpu or memory")


def _validate_pages(name: str, amount: Quantity, at: str) -> Iterator[Cause]:
    if name.startswith(_HUGE_PAGES):
        try:
            page = Quantity.parse(name.removeprefix(_HUGE_PAGES)).value
        except ValueError:
            page = 0
        if page <= 0 or amount.value % page:
            yield Cause.invalid(at, str(amount), f"{amount} is not positive integer multiple of {name}")


def _compare(name: str, amount: Quantity, limit: Quantity | None, at: str) -> Iterator[Cause]:
    may_overcommit = is_native(name) and not name.startswith(_HUGE_PAGES)
    if limit is None:
        if not may_overcommit:
            yield Cause.required(f"{at}.limits", "Limit must be set for non overcommitable resources")
    elif amount != limit and not may_overcommit:
        text = f"must be equal to {name} limit of {limit}"
        yield Cause.invalid(f"{at}.requests", str(amount), text)
    elif amount > limit:
        text = f"must be less than or equal to {name} limit of {limit}"
        yield Cause.invalid(f"{at}.requests", str(amount), text)


def of_container(name: str, at: str) -> Iterator[Cause]:
    """What speaks against a container's having an amount of the resource."""
    problems = qualified_name(name)
    for problem in problems:
        yield Cause.invalid(at, name, problem)
    huge = name.startswith(_HUGE_PAGES)
    if "/" not in name:
        if not problems and not huge and name not in STANDARD:
            yield Cause.invalid(at, name, "must be a standard resource type or fully qualified")
        if not huge and name not in _OF_CONTAINERS:
            yield Cause.invalid(at, name, "must be a standard resource for containers")
    elif not is_native(name) and not is_extended(name):
        yield Cause.invalid(at, name, "doesn't follow extended resource name standard")


def _of_pod(name: str, at: str) -> Iterator[Cause]:
    if name not in ("cpu", "memory") and not name.startswith(_HUGE_PAGES):
        yield Cause.not_supported(at, name, ("cpu", "hugepages-", "memory"))


def _validate_claims(claims: Sequence[Obj], at: str, known: Sequence[str]) -> Iterator[Cause]:
    seen: set[tuple[str, str]] = set()
    for index, claim in enumerate(claims):
        name, request, here = claim.get("name") or "", claim.get("request") or "", f"{at}[{index}]"
        if not name:
            yield Cause.required(here)
            continue
        if request:
            for problem in dns_label(request):
                yield Cause.invalid(f"{here}.request", request, problem)
        # The whole claim and one request of it overlap.
        if (name, "") in seen or (name, request) in seen or (not request and any(n == name for n, _ in seen)):
            yield Cause.duplicate(here, f"{name}/{request}" if request and (name, "") not in seen else name)
        seen.add((name, request))
        if name not in known:
            names = f": {', '.join(sorted(known))}" if known else " which is empty"
            found = Cause.not_found(here, name)
            text = f"{found.message}: must be one of the names in pod.spec.resourceClaims{names}"
            yield Cause(found.field, found.reason, text)
