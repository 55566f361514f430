"""PersistentVolumeClaims.

Upstream: ValidatePersistentVolumeClaim… in pkg/apis/core/validation/validation.go,
pkg/registry/core/persistentvolumeclaim/strategy.go and pkg/api/persistentvolumeclaim.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from datetime import datetime

from wellhead.api import cells, meta
from wellhead.api.errors import Cause
from wellhead.api.formats import dns_label, dns_subdomain
from wellhead.api.kind import Kind
from wellhead.api.kinds.storage import modes
from wellhead.api.meta import Obj, is_deleting
from wellhead.api.metadata import validate_label_selector
from wellhead.api.names import CLASS_ANNOTATION
from wellhead.api.printer import AGE, NAME, Cell, Column, Printer
from wellhead.api.resource import Resource
from wellhead.api.strategy import Context, Strategy
from wellhead.api.warnings.amounts import of_claim

PERSISTENTVOLUMECLAIMS = Resource(
    "",
    "v1",
    "PersistentVolumeClaim",
    "persistentvolumeclaims",
    short_names=("pvc",),
    subresources=frozenset({"status"}),
    strict_field_labels=True,
)

_IMMUTABLE = (
    "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound "
    "claims"
)
_RESIZE_STATUSES = (
    "ControllerResizeInProgress",
    "ControllerResizeInfeasible",
    "NodeResizePending",
    "NodeResizeInProgress",
    "NodeResizeInfeasible",
)
_SNAPSHOTS = "snapshot.storage.k8s.io", "VolumeSnapshot"


def default_claim_spec(spec: Obj) -> None:
    """In place; also of a template of claims."""
    spec.setdefault("volumeMode", "Filesystem")


class PersistentVolumeClaimStrategy(Strategy):
    repeats_warnings = True

    def warnings(self, obj: Obj) -> list[str]:
        name = CLASS_ANNOTATION
        found = list(of_claim("spec", obj["spec"]))
        if name not in (obj["metadata"].get("annotations") or {}):
            return found
        text = 'deprecated since v1.8; use "storageClassName" attribute instead'
        return [f"metadata.annotations[{name}]: {text}", *found]

    returned_when_deleted = True

    def default(self, obj: Obj) -> None:
        default_claim_spec(obj.setdefault("spec", {}))
        status = obj.setdefault("status", {})
        if not status.get("phase"):
            status["phase"] = "Pending"

    def prepare_create(self, obj: Obj, context: Context) -> None:
        obj["status"] = {"phase": "Pending"}
        _put_data_sources(obj["spec"], None)

    def prepare_update(self, new: Obj, old: Obj, context: Context) -> None:
        _put_data_sources(new["spec"], old["spec"])

    def validate(self, obj: Obj) -> list[Cause]:
        return list(validate_claim_spec(obj["spec"], "spec"))

    def validate_update(self, new: Obj, old: Obj) -> list[Cause]:
        causes = self.validate(new)
        after, before = deepcopy(new["spec"]), deepcopy(old["spec"])
        if not before.get("volumeName"):
            _set(before, "volumeName", after.get("volumeName"))
        causes += _class_changes(new, old, after, before)
        bound = (old.get("status") or {}).get("phase") == "Bound"
        asked, had = (_storage(each["spec"]) for each in (new, old))
        if bound:
            if (after.get("resources") or {}).get("requests") is not None:
                _set(after["resources"]["requests"], "storage", _storage_text(before))
            _set(after, "volumeAttributesClassName", before.get("volumeAttributesClassName"))
        if _normal(after) != _normal(before):
            causes.append(Cause.forbidden("spec", _IMMUTABLE))
        if asked < had and asked <= modes.size_of((old.get("status") or {}).get("capacity")):
            text = "field can not be less than status.capacity"
            causes.append(Cause.forbidden("spec.resources.requests.storage", text))
        mode = new["spec"].get("volumeMode")
        if mode != old["spec"].get("volumeMode"):
            causes.append(Cause.invalid("volumeMode", mode, "field is immutable"))
        return causes

    def prepare_status_update(self, new: Obj, old: Obj) -> None:
        new["status"]["phase"] = new["status"].get("phase") or "Pending"

    def validate_status_update(self, new: Obj, old: Obj) -> list[Cause]:
        status = new.get("status") or {}
        causes: list[Cause] = []
        for field in ("capacity", "allocatedResources"):
            for name, amount in (status.get(field) or {}).items():
                causes += modes.validate_size(amount, f"status.{field}[{name}]", positive=False)
        for name, value in (status.get("allocatedResourceStatuses") or {}).items():
            if value not in _RESIZE_STATUSES:
                at = "status.allocatedResourceStatuses"
                causes.append(Cause.not_supported(at, name, set(_RESIZE_STATUSES)))
        return causes


def validate_claim_spec(spec: Obj, at: str) -> Iterator[Cause]:
    """Of a claim, or of a template of claims."""
    if not spec.get("accessModes"):
        yield Cause.required(f"{at}.accessModes", "at least 1 access mode is required")
    if spec.get("selector") is not None:
        yield from validate_label_selector(spec["selector"], f"{at}.selector")
    yield from modes.validate_access_modes(spec.get("accessModes") or (), f"{at}.accessModes")
    asked = _storage_text(spec)
    if asked is None:
        yield Cause.required(f"{at}.resources[storage]")
    else:
        yield from modes.validate_size(asked, f"{at}.resources[storage]")
    yield from modes.validate_class_name(spec.get("storageClassName"), f"{at}.storageClassName")
    yield from modes.validate_volume_mode(spec.get("volumeMode"), f"{at}.volumeMode")
    yield from _validate_data_sources(spec, at)
    attributes = spec.get("volumeAttributesClassName")
    yield from modes.validate_class_name(attributes, f"{at}.volumeAttributesClassName")


def _validate_data_sources(spec: Obj, at: str) -> Iterator[Cause]:
    source, reference = spec.get("dataSource"), spec.get("dataSourceRef")
    for field, each in (("dataSource", source), ("dataSourceRef", reference)):
        if each is None:
            continue
        here = f"{at}.{field}"
        for name in ("name", "kind"):
            if not each.get(name):
                yield Cause.required(f"{here}.{name}")
        group = each.get("apiGroup") or ""
        if not group and each.get("kind") != "PersistentVolumeClaim":
            text = "must be 'PersistentVolumeClaim' when referencing the default apiGroup"
            yield Cause.invalid(here, each.get("kind") or "", text)
        for problem in dns_subdomain(group) if group else ():
            yield Cause.invalid(f"{here}.apiGroup", group, problem)
    namespace = (reference or {}).get("namespace")
    if namespace:
        for problem in dns_label(namespace):
            yield Cause.invalid(f"{at}.dataSourceRef.namespace", namespace, problem)
        if source is not None:
            text = "may not be specified when dataSourceRef.namespace is specified"
            yield Cause.invalid(at, f"{at}.dataSource", text)
    elif source is not None and reference is not None and _named(source) != _named(reference):
        yield Cause.invalid(at, f"{at}.dataSource", "must match dataSourceRef")


def _named(source: Obj) -> tuple[object, ...]:
    return tuple(source.get(field) or None for field in ("apiGroup", "kind", "name"))


def _put_data_sources(spec: Obj, old: Obj | None) -> None:
    """KEP-1495: what is in one of the two fields is in the other, too."""
    source = spec.get("dataSource")
    if source is not None and spec.get("dataSourceRef") is None:
        kept = old is not None and old.get("dataSource") is not None
        usual = (source.get("apiGroup") or "", source.get("kind")) in (
            ("", "PersistentVolumeClaim"),
            _SNAPSHOTS,
        )
        if not usual and not kept:
            del spec["dataSource"]
            return
        spec["dataSourceRef"] = dict(source)
    reference = spec.get("dataSourceRef")
    if reference is not None and spec.get("dataSource") is None and not reference.get("namespace"):
        spec["dataSource"] = {field: value for field, value in reference.items() if field != "namespace"}


def _class_changes(new: Obj, old: Obj, after: Obj, before: Obj) -> list[Cause]:
    """A class may come where none was named; else it stays."""
    named, was = meta.annotations(new).get(CLASS_ANNOTATION), meta.annotations(old).get(CLASS_ANNOTATION)
    wanted, had = after.get("storageClassName"), before.get("storageClassName")
    if had is None and wanted is not None and (was is None or was == wanted):
        before["storageClassName"] = wanted
        if was is not None and named in (None, was):
            return []
    if named != was:
        return [Cause.invalid(f"metadata.annotations[{CLASS_ANNOTATION}]", named or "", "field is immutable")]
    return []


def _storage_text(spec: Obj) -> str | None:
    found: str | None = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    return found


def _storage(spec: Obj) -> int:
    return modes.size_of((spec.get("resources") or {}).get("requests"))


def _set(spec: Obj, field: str, value: object) -> None:
    if value is None:
        spec.pop(field, None)
    else:
        spec[field] = value


def _normal(spec: Obj) -> Obj:
    """Without what says nothing."""
    return {field: value for field, value in spec.items() if value not in (None, "", [], {})} | {
        "storageClassName": spec.get("storageClassName")
    }


def _cells(claim: Obj, now: datetime) -> list[Cell]:
    spec, status = claim["spec"], claim.get("status") or {}
    volume = spec.get("volumeName") or ""
    attributes, mode = spec.get("volumeAttributesClassName"), spec.get("volumeMode")
    return [
        cells.name(claim),
        "Terminating" if is_deleting(claim) else status.get("phase") or "",
        volume,
        str((status.get("capacity") or {}).get("storage", "0")) if volume else "",
        modes.short(status.get("accessModes")) if volume else "",
        modes.class_of(claim),
        "<unset>" if attributes is None else attributes,
        cells.created(claim, now),
        "<unset>" if mode is None else mode,
    ]


_PRINTER = Printer(
    (
        NAME,
        Column("Status"),
        Column("Volume"),
        Column("Capacity"),
        Column("Access Modes"),
        Column("StorageClass"),
        Column("VolumeAttributesClass"),
        AGE,
        Column("VolumeMode", wide=True),
    ),
    _cells,
)

KIND = Kind(PERSISTENTVOLUMECLAIMS, PersistentVolumeClaimStrategy(), _PRINTER)
