"""A pod's status: its conditions, and its addresses podIP and podIPs, hostIP and hostIPs.

Upstream: the conversions in pkg/apis/core/v1/conversion.go, validatePodIPs and validateHostIPs in
pkg/apis/core/validation/validation.go.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from wellhead.api.errors import Cause, duplicates
from wellhead.api.formats import at_most_one_of_each_family, dns_subdomain, ip_address, qualified_name
from wellhead.api.kinds.pod.transitions import validate_transitions
from wellhead.api.meta import Obj

_NOT_NEGATIVE = "must be a non-negative integer"


def agree_on_pod_ips(status: Obj) -> None:
    """podIP and podIPs[0] are one thing. Where they differ, podIP counts: old agents know only that."""
    ip, ips = status.get("podIP"), status.get("podIPs")
    if ip and (not ips or ips[0].get("ip") != ip):
        status["podIPs"] = [{"ip": ip}]
    elif ips:
        status["podIP"] = ips[0].get("ip", "")


def keep_unsaid(status: Obj, old: Obj) -> None:
    """What an agent doesn't repeat, it doesn't unset: the class, and which generation was observed."""
    if not status.get("qosClass") and old.get("qosClass"):
        status["qosClass"] = old["qosClass"]
    _keep_generation(status, old.get("observedGeneration"))
    known: dict[str, list[int]] = {}
    for condition in old.get("conditions") or ():
        known.setdefault(condition.get("type", ""), []).append(condition.get("observedGeneration") or 0)
    for condition in status.get("conditions") or ():
        if generations := known.get(condition.get("type", "")):
            _keep_generation(condition, generations.pop(0))


def _keep_generation(of: Obj, before: int | None) -> None:
    if not of.get("observedGeneration") and before:
        of["observedGeneration"] = before


def validate_status(status: Obj, old: Obj, spec: Obj) -> list[Cause]:
    """Conditions, the node that is meant for the pod, states of containers, and addresses."""
    causes: list[Cause] = []
    for index, condition in enumerate(status.get("conditions") or ()):
        at, kind = f"status.conditions[{index}]", condition.get("type") or ""
        if (generation := condition.get("observedGeneration", 0)) < 0:
            causes.append(Cause.invalid(f"{at}.observedGeneration", generation, _NOT_NEGATIVE))
        causes += [Cause.invalid(f"{at}.Type", kind, problem) for problem in qualified_name(kind)]
    if (generation := status.get("observedGeneration", 0)) < 0:
        causes.append(Cause.invalid("status.observedGeneration", generation, _NOT_NEGATIVE))
    if (name := status.get("nominatedNodeName")) and name != old.get("nominatedNodeName"):
        at = "status.nominatedNodeName"
        causes += [Cause.invalid(at, name, text) for text in dns_subdomain(name)]
        if spec.get("nodeName"):
            causes.append(Cause.forbidden(at, "may not be set on pods that are already bound to a node"))
    if status.get("qosClass") != old.get("qosClass"):
        causes.append(Cause.invalid("status.qosClass", status.get("qosClass"), "field is immutable"))
    causes += validate_transitions(status, old, spec)
    causes += _validate_claims(status.get("resourceClaimStatuses") or (), spec.get("resourceClaims") or ())
    return causes + _validate_addresses(status)


def _validate_claims(statuses: Sequence[Obj], claims: Sequence[Obj]) -> Iterator[Cause]:
    at, names, seen = "status.resourceClaimStatuses", {each.get("name") for each in claims}, set()
    for index, status in enumerate(statuses):
        name = status.get("name", "")
        if name not in names:
            text = "must match the name of an entry in `spec.resourceClaims`"
            yield Cause.invalid(f"{at}[{index}].name", name, text)
        if name in seen:
            yield Cause.duplicate(f"{at}[{index}].name", name)
        seen.add(name)
        if (claim := status.get("resourceClaimName")) is not None:
            for text in dns_subdomain(claim):
                yield Cause.invalid(f"{at}[{index}].resourceClaimName", claim, text)


def _validate_addresses(status: Obj) -> list[Cause]:
    """podIPs and hostIPs: at most one address of each family."""
    causes = _validate(status, "podIPs")
    hosts = status.get("hostIPs") or ()
    if hosts and hosts[0].get("ip") != status.get("hostIP", ""):
        first = hosts[0].get("ip", "")
        causes.append(Cause.invalid("status.hostIPs[0].ip", first, "must be equal to `hostIP`"))
    return causes + _validate(status, "hostIPs")


def _validate(status: Obj, field: str) -> list[Cause]:
    at = f"status.{field}"
    entries = status.get(field) or ()
    ips = [entry.get("ip", "") for entry in entries]
    causes = [
        Cause.invalid(f"{at}[{index}]", text, problem)
        for index, text in enumerate(ips)
        for problem in ip_address(text)
    ]
    causes += duplicates(({"ip": ip} for ip in ips), at)
    if not at_most_one_of_each_family(ips):
        causes.append(Cause.invalid(at, entries, "may specify no more than one IP for each IP family"))
    return causes
