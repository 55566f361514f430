"""StorageVersionMigrations: have all objects of a resource written anew, as they are stored today.

Upstream: pkg/apis/storagemigration/validation, pkg/registry/storagemigration.
"""

from __future__ import annotations

from datetime import datetime

from wellhead.api import cells
from wellhead.api.errors import Cause
from wellhead.api.formats import dns_1035_label, dns_subdomain
from wellhead.api.kind import Kind
from wellhead.api.meta import Obj, is_condition_true
from wellhead.api.printer import NAME, Cell, Column, Printer
from wellhead.api.resource import Resource
from wellhead.api.strategy import Context, Strategy

STORAGEVERSIONMIGRATIONS = Resource(
    "storagemigration.k8s.io",
    "v1",
    "StorageVersionMigration",
    "storageversionmigrations",
    namespaced=False,
    subresources=frozenset({"status"}),
)
RUNNING, SUCCEEDED, FAILED = "Running", "Succeeded", "Failed"


class MigrationStrategy(Strategy):
    counts_generations = True

    def prepare_create(self, obj: Obj, context: Context) -> None:
        obj.pop("status", None)

    def validate(self, obj: Obj) -> list[Cause]:
        resource = (obj.get("spec") or {}).get("resource") or {}
        plural, group, at = resource.get("resource") or "", resource.get("group") or "", "spec.resource"
        causes = []
        if not plural:
            causes.append(Cause.required(f"{at}.resource", "resource is required to be set"))
        elif problems := list(dns_1035_label(plural)):
            causes.append(Cause.invalid(f"{at}.resource", plural, ",".join(problems)))
        if group and (problems := list(dns_subdomain(group))):
            causes.append(Cause.invalid(f"{at}.group", group, ",".join(problems)))
        return causes

    def validate_update(self, new: Obj, old: Obj) -> list[Cause]:
        causes = self.validate(new)
        if new.get("spec") != old.get("spec"):
            causes.append(Cause.invalid("spec", new.get("spec"), "field is immutable"))
        return causes

    def validate_status_update(self, new: Obj, old: Obj) -> list[Cause]:
        at, causes = "status.conditions", []
        after, before = ((each.get("status") or {}).get("resourceVersion") or "" for each in (new, old))
        if after and not after.isdecimal():
            causes.append(
                Cause.invalid("status.resourceVersion", after, "resource version is not well formed")
            )
        if before and before != after:
            causes.append(Cause.invalid("status.resourceVersion", after, "field is immutable"))
        conditions = (new.get("status") or {}).get("conditions")
        if is_condition_true(new, SUCCEEDED) and is_condition_true(new, FAILED):
            text = "Both success and failed conditions cannot be true at the same time"
            causes.append(Cause.invalid(at, conditions, text))
        for state, name in ((SUCCEEDED, "Success"), (FAILED, "Failed")):
            if is_condition_true(old, state) and not is_condition_true(new, state):
                text = f"{name} condition cannot be set to false once it is true"
                causes.append(Cause.invalid(at, conditions, text))
        return causes


def _cells(migration: Obj, now: datetime) -> list[Cell]:
    resource = migration["spec"]["resource"]
    group = resource.get("group")
    shown = f"{resource['resource']}.{group}" if group else resource["resource"]
    status = "Unknown"
    for entry in (migration.get("status") or {}).get("conditions") or ():
        if entry["status"] == "True" and entry["type"] in (RUNNING, FAILED, SUCCEEDED):
            status = entry["type"]
    return [cells.name(migration), shown, status]


KIND = Kind(
    STORAGEVERSIONMIGRATIONS,
    MigrationStrategy(),
    Printer((NAME, Column("Resource"), Column("Status")), _cells),
)
