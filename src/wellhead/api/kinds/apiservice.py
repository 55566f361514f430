"""APIServices: which server answers for a group's version, this one or one behind a Service.

Upstream: kube-aggregator's pkg/apis/apiregistration/validation, pkg/registry/apiservice.
"""

from __future__ import annotations

from datetime import datetime

from wellhead.api import cells
from wellhead.api.errors import Cause
from wellhead.api.formats import dns_1035_label, dns_subdomain, path_segment
from wellhead.api.kind import Kind
from wellhead.api.meta import Obj, condition
from wellhead.api.printer import AGE, NAME, Cell, Column, Printer
from wellhead.api.resource import Resource
from wellhead.api.strategy import Strategy

APISERVICES = Resource(
    "apiregistration.k8s.io",
    "v1",
    "APIService",
    "apiservices",
    namespaced=False,
    categories=("api-extensions",),
    subresources=frozenset({"status"}),
)

AVAILABLE = "Available"
_STATUSES = ("True", "False", "Unknown")


class APIServiceStrategy(Strategy):
    status_metadata = frozenset()
    needs_version = True
    name_check = staticmethod(path_segment)

    def default(self, obj: Obj) -> None:
        if (service := (obj.get("spec") or {}).get("service")) is not None:
            service.setdefault("port", 443)

    def validate(self, obj: Obj) -> list[Cause]:
        spec = obj.get("spec") or {}
        group, version = spec.get("group") or "", spec.get("version") or ""
        causes: list[Cause] = []
        name, wanted = obj["metadata"].get("name") or "", f"{version}.{group}"
        if name != wanted:
            text = f'must be `spec.version+"."+spec.group`: "{wanted}"'
            causes.append(Cause.invalid("metadata.name", name, text))
        if not group and version != "v1":
            text = "only v1 may have an empty group and it better be legacy kube"
            causes.append(Cause.required("spec.group", text))
        if group:
            causes += [Cause.invalid("spec.group", group, problem) for problem in dns_subdomain(group)]
        causes += [Cause.invalid("spec.version", version, problem) for problem in dns_1035_label(version)]
        for field, most in (("groupPriorityMinimum", 20000), ("versionPriority", 1000)):
            if not 0 < (number := spec.get(field) or 0) <= most:
                text = f"must be positive and less than {most}"
                causes.append(Cause.invalid(f"spec.{field}", number, text))
        return causes + _of_service(spec)

    def validate_status_update(self, new: Obj, old: Obj) -> list[Cause]:
        return [
            Cause.not_supported(f"status.conditions[{index}].status", each.get("status") or "", _STATUSES)
            for index, each in enumerate((new.get("status") or {}).get("conditions") or ())
            if each.get("status") not in _STATUSES
        ]


def _of_service(spec: Obj) -> list[Cause]:
    service, bundle = spec.get("service"), spec.get("caBundle")
    unverified = spec.get("insecureSkipTLSVerify")
    causes: list[Cause] = []
    if service is None:
        if bundle:
            size = f"{len(bundle) * 3 // 4} bytes"
            causes.append(Cause.invalid("spec.caBundle", size, "local APIServices may not have a caBundle"))
        if unverified:
            text = "local APIServices may not have insecureSkipTLSVerify"
            causes.append(Cause.invalid("spec.insecureSkipTLSVerify", unverified, text))
        return causes
    causes += [
        Cause.required(f"spec.service.{field}") for field in ("namespace", "name") if not service.get(field)
    ]
    if not 1 <= (port := service.get("port", 443)) <= 65535:
        text = "port is not valid: must be between 1 and 65535, inclusive"
        causes.append(Cause.invalid("spec.service.port", port, text))
    if unverified and bundle:
        text = "may not be true if caBundle is present"
        causes.append(Cause.invalid("spec.insecureSkipTLSVerify", unverified, text))
    return causes


def _cells(obj: Obj, now: datetime) -> list[Cell]:
    service = obj["spec"].get("service")
    where = f"{service['namespace']}/{service['name']}" if service else "Local"
    found = condition(obj, AVAILABLE) or {"status": "Unknown"}
    status = found["status"]
    if status != "True" and found.get("reason"):
        status = f"{status} ({found['reason']})"
    return [cells.name(obj), where, status, cells.created(obj, now)]


_PRINTER = Printer((NAME, Column("Service"), Column("Available"), AGE), _cells)

KIND = Kind(APISERVICES, APIServiceStrategy(), _PRINTER)
