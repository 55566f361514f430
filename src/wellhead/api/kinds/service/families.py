"""Which IP families a Service has, and what its clusterIPs say of them (KEP-563).

Upstream: initIPFamilyFields and normalizeClusterIPs in pkg/registry/core/service/storage, and
ValidateServiceClusterIPsRelatedFields and validateUpgradeDowngrade… in pkg/apis/core/validation.
"""

from __future__ import annotations

from collections.abc import Sequence

from wellhead.api.errors import Cause, Invalid, duplicates, one_of
from wellhead.api.formats import ip_address, parse_ip
from wellhead.api.meta import Obj
from wellhead.api.well_known import SERVICES

_FAMILIES = ("IPv4", "IPv6")
_POLICIES = ("PreferDualStack", "RequireDualStack", "SingleStack")
_FIXED = "may not change once set"


def has_addresses(spec: Obj) -> bool:
    """Whether clusterIP and the IP families mean something for the Service; "None" is a value, too."""
    return spec.get("type") != "ExternalName"


def is_headless(spec: Obj) -> bool:
    return spec.get("clusterIP") == "None"


def agree_on_cluster_ips(spec: Obj, before: Obj | None) -> None:
    """clusterIP and clusterIPs[0] are one thing: whoever knows only one of them means both.

    `before` is the spec that an update replaces.
    """
    ip, ips = spec.get("clusterIP"), spec.get("clusterIPs") or []
    if before is None:
        if ip and not ips:
            spec["clusterIPs"] = [ip]
        return
    old_ip, old_ips = before.get("clusterIP"), before.get("clusterIPs") or []
    if ip == old_ip:
        if old_ips and not ips:
            spec["clusterIPs"] = old_ips
    elif ips == old_ips:
        if ip:
            spec["clusterIPs"] = [ip]
        else:
            spec.pop("clusterIPs", None)


def decide_families(service: Obj, old: Obj | None, available: Sequence[str]) -> None:
    """Fill in ipFamilyPolicy and ipFamilies. Raises Invalid when what is asked for contradicts itself or
    can't be had in a cluster with the families `available`, the default one first.

    A dual-stack Service stays so, and a single-stack one too, until somebody asks for the change: a cluster
    that becomes dual-stack changes no Service.
    """
    spec = service["spec"]
    before = None if old is None else old["spec"]
    if not has_addresses(spec) or (before is not None and _keeps_preferring(spec, before)):
        return
    if spec.get("ipFamilyPolicy") is None:
        spec["ipFamilyPolicy"] = _default_policy(spec, before)
    _refuse(service, validate_cluster_ips(spec))
    causes = [] if before is None else _reduce(spec, before)
    if spec["ipFamilyPolicy"] == "SingleStack":
        causes += _only_one_stack(spec)
    causes += _infer_families(spec, available)
    _refuse(service, causes)
    if is_headless(spec) and not spec.get("selector"):
        # Whoever writes the slices decides, whatever families the cluster has.
        spec["ipFamilies"] = _with_second(spec.get("ipFamilies") or [available[0]], spec["ipFamilyPolicy"])
        return
    if spec["ipFamilyPolicy"] == "RequireDualStack" and len(available) < 2:
        problem = "this cluster is not configured for dual-stack services"
        causes.append(Cause.invalid("spec.ipFamilyPolicy", spec["ipFamilyPolicy"], problem))
    causes += [
        Cause.invalid(f"spec.ipFamilies[{index}]", family, "not configured on this cluster")
        for index, family in enumerate(spec.get("ipFamilies") or ())
        if family not in available
    ]
    _refuse(service, causes)
    families = spec.get("ipFamilies") or [available[0]]
    spec["ipFamilies"] = _with_second(families, spec["ipFamilyPolicy"]) if len(available) == 2 else families


def validate_cluster_ips(spec: Obj) -> list[Cause]:
    """clusterIP, clusterIPs, ipFamilies and ipFamilyPolicy as they are, filled in or not."""
    causes: list[Cause] = []
    at = "spec.clusterIPs"
    first, ips = spec.get("clusterIP"), spec.get("clusterIPs") or []
    families = spec.get("ipFamilies") or []
    if first and ips and ips[0] != first:
        causes.append(Cause.invalid(at, ips, "first value must match `clusterIP`"))
    if not first and ips:
        causes.append(Cause.invalid(at, ips, "must be empty when `clusterIP` is not specified"))
    for index, family in enumerate(families):
        causes += one_of(f"spec.ipFamilies[{index}]", family, _FAMILIES)
    causes += duplicates(families, "spec.ipFamilies")
    if (policy := spec.get("ipFamilyPolicy")) is not None:
        causes += one_of("spec.ipFamilyPolicy", policy, _POLICIES)
    problems = []
    for index, text in enumerate(ips):
        if text == "None" and index == 0:
            if len(ips) > 1:
                problems.append(Cause.invalid(at, ips, "'None' must be the first and only value"))
        else:
            problems += [Cause.invalid(f"{at}[{index}]", text, problem) for problem in ip_address(text)]
    too_many = [Cause.invalid(at, ips, "may only hold up to 2 values")] if len(ips) > 2 else []
    if problems or not ips or is_headless(spec):
        return causes + problems + too_many
    causes += too_many
    versions = [_family_of(text) for text in ips]
    if len(set(versions)) < len(versions) == 2:
        causes.append(Cause.invalid(at, ips, "may specify no more than one IP for each IP family"))
    causes += [
        Cause.invalid(
            f"{at}[{index}]", ips[index], f"expected an {family} value as indicated by `ipFamilies[{index}]`"
        )
        for index, (version, family) in enumerate(zip(versions, families, strict=False))
        if version != family
    ]
    return causes


def validate_family_change(spec: Obj, before: Obj) -> list[Cause]:
    """What an update may do to addresses and families: add or remove the second, never touch the first."""
    if not (has_addresses(spec) and has_addresses(before)):
        return []
    headless, was_headless = is_headless(spec), is_headless(before)
    if headless and was_headless:
        return []
    ips, old_ips = spec.get("clusterIPs") or [], before.get("clusterIPs") or []
    causes = [
        Cause.invalid(f"spec.clusterIPs[{index}]", ips, _FIXED)
        for index, (ip, old_ip) in enumerate(zip(ips, old_ips, strict=False))
        if ip != old_ip
    ]
    if old_ips and not ips:
        causes.append(Cause.invalid("spec.clusterIPs[0]", ips, "primary clusterIP can not be unset"))
    if headless or was_headless:
        return causes
    families, old_families = spec.get("ipFamilies") or [], before.get("ipFamilies") or []
    causes += [
        Cause.invalid("spec.ipFamilies[0]", families, _FIXED)
        for family, old_family in zip(families, old_families, strict=False)
        if family != old_family
    ]
    return causes


def _keeps_preferring(spec: Obj, before: Obj) -> bool:
    """Whether a Service with PreferDualStack is left with the families and addresses that it has."""
    return (
        spec.get("ipFamilyPolicy") == "PreferDualStack"
        and before.get("ipFamilyPolicy") == "PreferDualStack"
        and spec.get("type") == before.get("type")
        and (spec.get("clusterIPs") or []) == (before.get("clusterIPs") or [])
        and (spec.get("ipFamilies") or []) == (before.get("ipFamilies") or [])
    )


def _default_policy(spec: Obj, before: Obj | None) -> str:
    if before is not None and before.get("ipFamilyPolicy"):
        return str(before["ipFamilyPolicy"])
    return "RequireDualStack" if is_headless(spec) and not spec.get("selector") else "SingleStack"


def _reduce(spec: Obj, before: Obj) -> list[Cause]:
    """SingleStack, with the rest as it was, gives up the second family. Nothing else may drop it."""
    ips, old_ips = spec.get("clusterIPs") or [], before.get("clusterIPs") or []
    families, old_families = spec.get("ipFamilies") or [], before.get("ipFamilies") or []
    if spec["ipFamilyPolicy"] == "SingleStack":
        if ips == old_ips and len(ips) > 1:
            spec["clusterIPs"] = ips[:1]
        if families == old_families and len(families) > 1:
            spec["ipFamilies"] = families[:1]
        return []
    return [
        Cause.invalid(
            "spec.ipFamilyPolicy",
            spec["ipFamilyPolicy"],
            f"must be 'SingleStack' to release the secondary {what}",
        )
        for what, now, then in (("cluster IP", ips, old_ips), ("IP family", families, old_families))
        if 0 < len(now) < len(then)
    ]


def _only_one_stack(spec: Obj) -> list[Cause]:
    return [
        Cause.invalid(
            "spec.ipFamilyPolicy",
            spec["ipFamilyPolicy"],
            f"must be 'RequireDualStack' or 'PreferDualStack' when multiple {what} are specified",
        )
        for what, field in (("cluster IPs", "clusterIPs"), ("IP families", "ipFamilies"))
        if len(spec.get(field) or ()) == 2
    ]


def _infer_families(spec: Obj, available: Sequence[str]) -> list[Cause]:
    """An address that the client asks for says which family it wants."""
    families = list(spec.get("ipFamilies") or ())
    ips = [] if is_headless(spec) else spec.get("clusterIPs") or []
    causes = []
    for index in range(len(families), len(ips)):
        family = _family_of(ips[index])
        if family in available:
            families.append(family)
        else:
            problem = f"{family} is not configured on this cluster"
            causes.append(Cause.invalid(f"spec.clusterIPs[{index}]", ips, problem))
    if families:
        spec["ipFamilies"] = families
    return causes


def _with_second(families: list[str], policy: str) -> list[str]:
    if policy == "SingleStack" or len(families) > 1:
        return families
    return [families[0], "IPv6" if families[0] == "IPv4" else "IPv4"]


def _family_of(text: str) -> str:
    address = parse_ip(text)
    return "" if address is None else f"IPv{address.version}"


def _refuse(service: Obj, causes: list[Cause]) -> None:
    if causes:
        raise Invalid.for_object(SERVICES, service, causes)
