"""Dynamic resource allocation: claims of devices, their templates, classes, and what nodes have.

Upstream: pkg/apis/resource/validation. Selectors in CEL are kept as they are; nothing here allocates devices.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from wellhead.api import cells
from wellhead.api.errors import Cause, one_of
from wellhead.api.formats import dns_label, dns_subdomain
from wellhead.api.kind import Kind
from wellhead.api.kinds.storage.csi import driver_name
from wellhead.api.meta import Obj, is_deleting
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

_MODES = ("All", "ExactCount")
_EFFECTS = ("NoExecute", "NoSchedule", "None")
_MAX_REQUESTS = 32
_MAX_RESERVED = 256
_MAX_DEVICES = 128
_FIXED = "field is immutable"
_ONE_KIND = "exactly one of `exactly` or `firstAvailable` is required"
_PLACES = ("nodeName", "nodeSelector", "allNodes", "perDeviceNodeSelection")
_ONE_PLACE = f"exactly one of {', '.join(f'`{place}`' for place in _PLACES)} is required"


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


def validate_claim(spec: Obj, at: str) -> Iterator[Cause]:
    requests = (spec.get("devices") or {}).get("requests") or ()
    here = f"{at}.devices.requests"
    if len(requests) > _MAX_REQUESTS:
        yield Cause.too_many(here, len(requests), _MAX_REQUESTS)
    names: set[str] = set()
    for index, request in enumerate(requests):
        yield from _of_name(request.get("name") or "", names, f"{here}[{index}]")
        yield from _of_request(request, f"{here}[{index}]")


def _of_name(name: str, seen: set[str], at: str) -> Iterator[Cause]:
    if not name:
        yield Cause.required(f"{at}.name")
        return
    yield from (Cause.invalid(f"{at}.name", name, text) for text in dns_label(name))
    if name in seen:
        yield Cause.duplicate(f"{at}.name", name)
    seen.add(name)


def _of_request(request: Obj, at: str) -> Iterator[Cause]:
    exactly, first = request.get("exactly"), request.get("firstAvailable") or []
    if (exactly is None) == (not first):
        value = {name: each for name, each in request.items() if name != "name"}
        yield Cause.invalid(at, value, _ONE_KIND) if value else Cause.required(at, _ONE_KIND)
        return
    if exactly is not None:
        yield from _of_devices(exactly, f"{at}.exactly")
        return
    names: set[str] = set()
    for index, each in enumerate(first):
        here = f"{at}.firstAvailable[{index}]"
        yield from _of_name(each.get("name") or "", names, here)
        yield from _of_devices(each, here)


def _of_devices(wanted: Obj, at: str) -> Iterator[Cause]:
    kind = wanted.get("deviceClassName") or ""
    if not kind:
        yield Cause.required(f"{at}.deviceClassName")
    else:
        yield from (Cause.invalid(f"{at}.deviceClassName", kind, text) for text in dns_subdomain(kind))
    mode, count = wanted.get("allocationMode"), wanted.get("count", 0)
    yield from one_of(f"{at}.allocationMode", mode, _MODES)
    if mode == "ExactCount" and count <= 0:
        yield Cause.invalid(f"{at}.count", count, "must be greater than zero")
    if mode == "All" and count:
        text = "must not be specified when allocationMode is 'All'"
        yield Cause.invalid(f"{at}.count", count, text)


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
    known_names = {
        each.get("name") for each in ((claim.get("spec") or {}).get("devices") or {}).get("requests") or ()
    }
    for index, result in enumerate(((allocation or {}).get("devices") or {}).get("results") or ()):
        request, here = result.get("request") or "", f"status.allocation.devices.results[{index}]"
        if request.partition("/")[0] not in known_names:
            text = "must be the name of a request in the claim or the name of a request and subrequest"
            yield Cause.invalid(f"{here}.request", request, f"{text} separated by a '/'")
        yield from driver_name(result.get("driver") or "", f"{here}.driver")


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
        return list(validate_claim(obj["spec"]["spec"], "spec.spec"))

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
        causes: list[Cause] = []
        for index, each in enumerate(obj["spec"].get("selectors") or ()):
            at = f"spec.selectors[{index}].cel"
            if each.get("cel") is None:
                causes.append(Cause.required(at))
            elif not each["cel"].get("expression"):
                causes.append(Cause.required(f"{at}.expression"))
        for index, each in enumerate(obj["spec"].get("config") or ()):
            at = f"spec.config[{index}].opaque"
            if each.get("opaque") is None:
                causes.append(Cause.required(at))
            else:
                causes += driver_name(each["opaque"].get("driver") or "", f"{at}.driver")
        return causes


class ResourceSliceStrategy(Strategy):
    counts_generations = True
    returned_when_deleted = True

    def validate(self, obj: Obj) -> list[Cause]:
        return list(_of_slice(obj.get("spec") or {}))

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


def _of_slice(spec: Obj) -> Iterator[Cause]:
    yield from driver_name(spec.get("driver") or "", "spec.driver")
    pool = spec.get("pool") or {}
    if not pool.get("name"):
        yield Cause.required("spec.pool.name")
    if (pool.get("resourceSliceCount") or 0) <= 0:
        count = pool.get("resourceSliceCount") or 0
        yield Cause.invalid("spec.pool.resourceSliceCount", count, "must be greater than zero")
    if (pool.get("generation") or 0) < 0:
        text = "must be greater than or equal to zero"
        yield Cause.invalid("spec.pool.generation", pool["generation"], text)
    places = [place for place in _PLACES if spec.get(place)]
    if not places:
        yield Cause.required("spec", _ONE_PLACE)
    elif len(places) > 1:
        yield Cause.invalid("spec", f"{{{', '.join(places)}}}", _ONE_PLACE)
    devices: Sequence[Obj] = spec.get("devices") or ()
    if len(devices) > _MAX_DEVICES:
        yield Cause.too_many("spec.devices", len(devices), _MAX_DEVICES)
    names: set[str] = set()
    for index, device in enumerate(devices):
        yield from _of_name(device.get("name") or "", names, f"spec.devices[{index}]")


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
        taint = (obj.get("spec") or {}).get("taint") or {}
        causes: list[Cause] = []
        if not taint.get("key"):
            causes.append(Cause.required("spec.taint.key"))
        if not taint.get("effect"):
            causes.append(Cause.required("spec.taint.effect"))
        else:
            causes += one_of("spec.taint.effect", taint["effect"], _EFFECTS)
        return causes


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
