"""IPAddresses: one for each ClusterIP that is taken, named after it (KEP-1880).

Upstream: ValidateIPAddress… in pkg/apis/networking/validation, createIPAddress in
pkg/registry/core/service/ipallocator/ipallocator.go.
"""

from __future__ import annotations

from datetime import datetime

from wellhead.api import cells
from wellhead.api.errors import Cause
from wellhead.api.formats import canonical_ip, dns_subdomain, path_segment
from wellhead.api.kind import Kind
from wellhead.api.meta import Key, Obj, new_uid, now
from wellhead.api.printer import NAME, Cell, Column, Printer
from wellhead.api.ranges import Address, family_of
from wellhead.api.resource import Resource
from wellhead.api.strategy import Strategy

IPADDRESSES = Resource(
    "networking.k8s.io", "v1", "IPAddress", "ipaddresses", namespaced=False, short_names=("ip",)
)

MANAGED_BY_LABEL = "ipaddress.kubernetes.io/managed-by"
MANAGED_BY = "ipallocator.k8s.io"
"""The API server's allocation of ClusterIPs."""
FAMILY_LABEL = "ipaddress.kubernetes.io/ip-family"


def ip_address_of(address: Address, service: Key) -> Obj:
    """The IPAddress of a Service's ClusterIP, ready to be stored: valid by construction."""
    namespace, name = service
    return {
        "apiVersion": IPADDRESSES.api_version,
        "kind": IPADDRESSES.kind,
        "metadata": {
            "name": str(address),
            "uid": new_uid(),
            "creationTimestamp": now(),
            "labels": {FAMILY_LABEL: family_of(address), MANAGED_BY_LABEL: MANAGED_BY},
        },
        "spec": {"parentRef": {"resource": "services", "namespace": namespace, "name": name}},
    }


def service_of(ip_address: Obj) -> Key | None:
    """The Service that an IPAddress belongs to; None if it belongs to something else."""
    parent = (ip_address.get("spec") or {}).get("parentRef") or {}
    if parent.get("group") or parent.get("resource") != "services":
        return None
    return parent.get("namespace") or "", parent.get("name") or ""


class IPAddressStrategy(Strategy):
    name_check = staticmethod(canonical_ip)

    def default(self, obj: Obj) -> None:
        parent = (obj.get("spec") or {}).get("parentRef") or {}
        for field in ("group", "namespace"):
            if not parent.get(field):
                parent.pop(field, None)

    def validate(self, obj: Obj) -> list[Cause]:
        parent, at = (obj.get("spec") or {}).get("parentRef"), "spec.parentRef"
        if parent is None:
            return [Cause.required(at)]
        causes: list[Cause] = []
        if group := parent.get("group"):
            causes += [Cause.invalid(f"{at}.group", group, problem) for problem in dns_subdomain(group)]
        for field in ("resource", "name", "namespace"):
            if text := parent.get(field):
                causes += [Cause.invalid(f"{at}.{field}", text, problem) for problem in path_segment(text)]
            elif field != "namespace":
                causes.append(Cause.required(f"{at}.{field}"))
        return causes

    def validate_update(self, new: Obj, old: Obj) -> list[Cause]:
        causes = self.validate(new)
        parent = (new.get("spec") or {}).get("parentRef")
        if parent != (old.get("spec") or {}).get("parentRef"):
            causes.append(Cause.invalid("spec.parentRef", parent, "field is immutable"))
        return causes


def _parent(ip_address: Obj) -> str:
    parent = ip_address["spec"]["parentRef"]
    resource = ".".join(part for part in (parent["resource"], parent.get("group")) if part)
    return "/".join(part for part in (resource.lower(), parent.get("namespace"), parent["name"]) if part)


def _cells(ip_address: Obj, now: datetime) -> list[Cell]:
    return [cells.name(ip_address), _parent(ip_address)]


_PRINTER = Printer((NAME, Column("ParentRef")), _cells)

KIND = Kind(IPADDRESSES, IPAddressStrategy(), _PRINTER)
