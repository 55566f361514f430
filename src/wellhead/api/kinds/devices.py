"""Dynamic resource allocation: claims of devices, their templates, classes, and what nodes have.

Upstream: pkg/apis/resource/validation. Selectors in CEL are kept as they are; nothing here allocates devices.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from wellhead.api import cells
from wellhead.api.errors import Cause
from wellhead.api.formats import dns_label
from wellhead.api.kind import Kind
from wellhead.api.kinds.amounts import is_extended
from wellhead.api.kinds.device_claims import (
    each_of,
    of_configuration,
    of_form,
    of_request_name,
    of_selector,
    of_taint,
    requests_of,
    validate_claim,
)
from wellhead.api.kinds.device_slices import of_pool_name, validate_slice
from wellhead.api.kinds.storage.csi import driver_name
from wellhead.api.meta import Obj, is_deleting
from wellhead.api.metadata import validate_annotations, validate_labels
from wellhead.api.printer import AGE, NAME, Cell, Column, Printer
from wellhead.api.resource import Resource
from wellhead.api.strategy import Context, Strategy

_GROUP = "resource.k8s.io"
_STATUS = frozenset({"status"})
RESOURCECLAIMS = Resource(_GROUP, "v1", "ResourceClaim", "resourceclaims", subresources=_STATUS)
RESOURCECLAIMTEMPLATES = Resource(_GROUP, "v1", "ResourceClaimTemplate", "resourceclaimtemplates")
DEVICECLASSES = Resource(_GROUP, "v1", "DeviceClass", "deviceclasses", namespaced=False)
RESOURCESLICES = Resource(
    _GROUP,
    "v1",
    "ResourceSlice",
    "resourceslices",
    namespaced=False,
    field_labels=("spec.driver", "spec.nodeName"),
)
DEVICETAINTRULES = Resource(
    _GROUP, "v1", "DeviceTaintRule", "devicetaintrules", namespaced=False, subresources=_STATUS
)

_MAX_RESERVED = 256
_MAX_OF_CLASS = 32  # selectors, configurations
_FIXED = "field is immutable"


def default_claim(spec: Obj) -> None:
    """In place."""
    for request in (spec.get("devices") or {}).get("requests") or ():
        holders = [*(request.get("firstAvailable") or ())]
        if request.get("exactly") is not None:
            holders.append(request["exactly"])
        for each in holders:
            each["allocationMode"] = each.get("allocationMode") or "ExactCount"
            if each["allocationMode"] == "ExactCount":
                each["count"] = each.get("count") or 1
            for toleration in each.get("tolerations") or ():
                toleration["operator"] = toleration.get("operator") or "Equal"


class ResourceClaimStrategy(Strategy):
    status_metadata = frozenset()
    returned_when_deleted = True

    def default(self, obj: Obj) -> None:
        default_claim(obj.setdefault("spec", {}))

    def prepare_create(self, obj: Obj, context: Context) -> None:
        obj["status"] = {}

    def validate(self, obj: Obj) -> list[Cause]:
        return list(validate_claim(obj["spec"], "spec"))

    def validate_update(self, new: Obj, old: Obj) -> list[Cause]:
        return [] if new["spec"] == old["spec"] else [Cause.invalid("spec", new["spec"], _FIXED)]

    def validate_status_update(self, new: Obj, old: Obj) -> list[Cause]:
        return list(_of_status(new, new["status"], old.get("status") or {}))


def _of_status(claim: Obj, status: Obj, before: Obj) -> Iterator[Cause]:
    at, users = "status.reservedFor", status.get("reservedFor") or []
    if len(users) > _MAX_RESERVED:
        yield Cause.too_many(at, len(users), _MAX_RESERVED)
    seen: set[str] = set()
    for index, user in enumerate(users):
        for field in ("resource", "name", "uid"):
            if not user.get(field):
                yield Cause.required(f"{at}[{index}].{field}")
        if user.get("uid") in seen:
            yield Cause.duplicate(f"{at}[{index}]", user)
        seen.add(user.get("uid") or "")
    allocation, old = status.get("allocation"), before.get("allocation")
    if users and allocation is None:
        yield Cause.forbidden(at, "may not be specified when `allocated` is not set")
    elif users and is_deleting(claim):
        known = before.get("reservedFor") or []
        if any(user not in known for user in users):
            text = "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set"
            yield Cause.forbidden(at, text)
    if allocation is not None and old is not None and allocation != old:
        yield Cause.invalid("status.allocation", allocation, _FIXED)
    known_names = requests_of((claim.get("spec") or {}).get("devices") or {})
    for index, result in enumerate(((allocation or {}).get("devices") or {}).get("results") or ()):
        request, here = result.get("request") or "", f"status.allocation.devices.results[{index}]"
        yield from of_request_name(request, f"{here}.request", known_names)
        yield from driver_name(result.get("driver") or "", f"{here}.driver")
        yield from of_pool_name(result.get("pool") or "", f"{here}.pool")
        yield from of_form(result.get("device") or "", f"{here}.device", dns_label)


def _claim_state(claim: Obj) -> str:
    status = claim.get("status") or {}
    states = ["deleted"] if is_deleting(claim) else []
    if status.get("allocation") is None:
        if not is_deleting(claim):
            states.append("pending")
    else:
        states += ["allocated", *(["reserved"] if status.get("reservedFor") else [])]
    return ",".join(states)


def _claim_cells(claim: Obj, now: datetime) -> list[Cell]:
    return [cells.name(claim), _claim_state(claim), cells.created(claim, now)]


class ResourceClaimTemplateStrategy(Strategy):
    returned_when_deleted = True

    def default(self, obj: Obj) -> None:
        default_claim(obj.setdefault("spec", {}).setdefault("spec", {}))

    def validate(self, obj: Obj) -> list[Cause]:
        metadata = obj["spec"].get("metadata") or {}
        causes = validate_annotations(metadata.get("annotations"), "spec.metadata.annotations")
        causes += validate_labels(metadata.get("labels"), "spec.metadata.labels")
        causes += [
            Cause.forbidden(f"spec.metadata.{field}", "cannot be set")
            for field in metadata
            if field not in ("annotations", "labels")
        ]
        return causes + list(validate_claim(obj["spec"]["spec"], "spec.spec"))

    def validate_update(self, new: Obj, old: Obj) -> list[Cause]:
        if new["spec"] != old["spec"]:
            return [*self.validate(new), Cause.invalid("spec", new["spec"], _FIXED)]
        return self.validate(new)


class DeviceClassStrategy(Strategy):
    counts_generations = True
    returned_when_deleted = True

    def default(self, obj: Obj) -> None:
        obj.setdefault("spec", {})

    def validate(self, obj: Obj) -> list[Cause]:
        return list(_of_class(obj["spec"]))


def _of_class(spec: Obj) -> Iterator[Cause]:
    yield from each_of(spec.get("selectors") or (), _MAX_OF_CLASS, "spec.selectors", of_selector)
    yield from each_of(
        spec.get("config") or (),
        _MAX_OF_CLASS,
        "spec.config",
        lambda each, place: of_configuration(each, place, None),
    )
    name = spec.get("extendedResourceName")
    if name is not None and not is_extended(name):
        yield Cause.invalid("spec.extendedResourceName", name, "must be a valid extended resource name")


class ResourceSliceStrategy(Strategy):
    counts_generations = True
    returned_when_deleted = True

    def warnings(self, obj: Obj) -> list[str]:
        driver = (obj.get("spec") or {}).get("driver") or ""
        if driver == driver.lower():
            return []
        return [f'spec.driver: driver names should be lowercase; "{driver}" contains uppercase characters']

    def validate(self, obj: Obj) -> list[Cause]:
        return list(validate_slice(obj.get("spec") or {}))

    def validate_update(self, new: Obj, old: Obj) -> list[Cause]:
        after, before = (each.get("spec") or {} for each in (new, old))
        causes = self.validate(new)
        pools = [(spec.get("pool") or {}).get("name") for spec in (after, before)]
        for field, pair in (
            ("driver", (after.get("driver"), before.get("driver"))),
            ("pool.name", (pools[0], pools[1])),
            ("nodeName", (after.get("nodeName"), before.get("nodeName"))),
        ):
            if pair[0] != pair[1]:
                causes.append(Cause.invalid(f"spec.{field}", pair[0] or "", _FIXED))
        return causes


def _slice_cells(piece: Obj, now: datetime) -> list[Cell]:
    spec = piece.get("spec") or {}
    pool = (spec.get("pool") or {}).get("name", "")
    node = spec.get("nodeName") or ""
    return [cells.name(piece), node, spec.get("driver", ""), pool, cells.created(piece, now)]


class DeviceTaintRuleStrategy(Strategy):
    status_metadata = frozenset()
    counts_generations = True
    returned_when_deleted = True

    def validate(self, obj: Obj) -> list[Cause]:
        return list(_of_taint_rule(obj.get("spec") or {}))


def _of_taint_rule(spec: Obj) -> Iterator[Cause]:
    selector, at = spec.get("deviceSelector") or {}, "spec.deviceSelector"
    if (driver := selector.get("driver")) is not None:
        yield from driver_name(driver, f"{at}.driver")
    if (pool := selector.get("pool")) is not None:
        yield from of_pool_name(pool, f"{at}.pool")
    if (device := selector.get("device")) is not None:
        yield from of_form(device, f"{at}.device", dns_label)
    yield from of_taint(spec.get("taint") or {}, "spec.taint")


KINDS = (
    Kind(RESOURCECLAIMS, ResourceClaimStrategy(), Printer((NAME, Column("State"), AGE), _claim_cells)),
    Kind(RESOURCECLAIMTEMPLATES, ResourceClaimTemplateStrategy()),
    Kind(DEVICECLASSES, DeviceClassStrategy()),
    Kind(
        RESOURCESLICES,
        ResourceSliceStrategy(),
        Printer((NAME, Column("Node"), Column("Driver"), Column("Pool"), AGE), _slice_cells),
    ),
    Kind(DEVICETAINTRULES, DeviceTaintRuleStrategy()),
)
