"""PersistentVolumes.

Upstream: ValidatePersistentVolume… in pkg/apis/core/validation/validation.go,
pkg/registry/core/persistentvolume/strategy.go.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from datetime import datetime

from wellhead.api import cells
from wellhead.api.errors import Cause
from wellhead.api.formats import no_backsteps
from wellhead.api.kind import Kind
from wellhead.api.kinds.pod.scheduling import validate_node_selector
from wellhead.api.kinds.storage import modes
from wellhead.api.kinds.volume_sources import (
    default_source,
    one_source,
    path_causes,
    validate_host_path,
    validate_remote,
)
from wellhead.api.meta import Obj, is_deleting, now
from wellhead.api.names import CLASS_ANNOTATION
from wellhead.api.printer import AGE, NAME, Cell, Column, Printer
from wellhead.api.resource import Resource
from wellhead.api.strategy import Context, Strategy
from wellhead.api.warnings import node_labels
from wellhead.api.warnings.volumes import of_persistent

PERSISTENTVOLUMES = Resource(
    "",
    "v1",
    "PersistentVolume",
    "persistentvolumes",
    namespaced=False,
    short_names=("pv",),
    subresources=frozenset({"status"}),
    strict_field_labels=True,
)

SOURCES = (
    "hostPath",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "glusterfs",
    "flocker",
    "nfs",
    "rbd",
    "quobyte",
    "cephfs",
    "iscsi",
    "cinder",
    "fc",
    "flexVolume",
    "azureFile",
    "vsphereVolume",
    "photonPersistentDisk",
    "portworxVolume",
    "azureDisk",
    "scaleIO",
    "local",
    "storageos",
    "csi",
)
"""The fields of a spec that say where the volume is, one of them each."""

_RECLAIM = ("Delete", "Recycle", "Retain")


def source_of(volume: Obj) -> str:
    """The kind of the volume's source; "" if it has none."""
    return next((name for name in SOURCES if volume["spec"].get(name) is not None), "")


_MOUNT_OPTIONS = "volume.beta.kubernetes.io/mount-options"
_MOUNTED_WITH_OPTIONS = (
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "glusterfs",
    "nfs",
    "rbd",
    "quobyte",
    "iscsi",
    "cinder",
    "cephfs",
    "azureFile",
    "vsphereVolume",
    "azureDisk",
    "photonPersistentDisk",
)
"""Sources that the annotation may go with (upstream: pkg/volume/validation)."""
_OLD = {
    CLASS_ANNOTATION: ('deprecated since v1.8; use "storageClassName" attribute instead'),
    _MOUNT_OPTIONS: ('deprecated since v1.31; use "mountOptions" attribute instead'),
}
_RECYCLE = (
    "The Recycle reclaim policy is deprecated. "
    "Instead, the recommended approach is to use dynamic provisioning."
)


class PersistentVolumeStrategy(Strategy):
    repeats_warnings = True

    def warnings(self, obj: Obj) -> list[str]:
        spec, annotations = obj["spec"], obj["metadata"].get("annotations") or {}
        found = [
            f"metadata.annotations[{name}]: {text}" for name, text in _OLD.items() if name in annotations
        ]
        if spec.get("persistentVolumeReclaimPolicy") == "Recycle":
            found.append(f"spec.persistentVolumeReclaimPolicy: {_RECYCLE}")
        at = "spec.nodeAffinity.required.nodeSelectorTerms"
        required = (spec.get("nodeAffinity") or {}).get("required") or {}
        for index, term in enumerate(required.get("nodeSelectorTerms") or ()):
            found += node_labels.of_expressions(f"{at}[{index}]", term)
        return [*found, *of_persistent(spec)]

    returned_when_deleted = True

    def default(self, obj: Obj) -> None:
        spec = obj.setdefault("spec", {})
        if not spec.get("persistentVolumeReclaimPolicy"):
            spec["persistentVolumeReclaimPolicy"] = "Retain"
        spec.setdefault("volumeMode", "Filesystem")
        if host_path := spec.get("hostPath"):
            host_path.setdefault("type", "")
        default_source(spec)
        status = obj.setdefault("status", {})
        if not status.get("phase"):
            status["phase"] = "Pending"

    def prepare_create(self, obj: Obj, context: Context) -> None:
        obj["status"] = {"phase": "Pending", "lastPhaseTransitionTime": context.now}

    def validate(self, obj: Obj) -> list[Cause]:
        causes = list(_validate_spec(obj["spec"], "spec", obj["metadata"].get("name") or ""))
        annotated = _MOUNT_OPTIONS in (obj["metadata"].get("annotations") or {})
        if annotated and not any(obj["spec"].get(kind) is not None for kind in _MOUNTED_WITH_OPTIONS):
            text = "may not specify mount options for this volume type"
            causes.append(Cause.forbidden(f"metadata.annotations.{_MOUNT_OPTIONS}", text))
        return causes

    def validate_update(self, new: Obj, old: Obj) -> list[Cause]:
        causes = self.validate(new)
        after, before = new["spec"], old["spec"]
        if _sources(after) != _sources(before):
            text = "spec.persistentvolumesource is immutable after creation"
            causes.append(Cause.forbidden("spec.persistentvolumesource", text))
        if after.get("volumeMode") != before.get("volumeMode"):
            causes.append(Cause.invalid("volumeMode", after.get("volumeMode"), "field is immutable"))
        affinity = before.get("nodeAffinity")
        if affinity is not None and after.get("nodeAffinity") != affinity:
            text = "field is immutable, except for updating from beta label to GA"
            causes.append(Cause.invalid("nodeAffinity", after.get("nodeAffinity"), text))
        attributes = before.get("volumeAttributesClassName")
        if attributes is not None and after.get("volumeAttributesClassName") is None:
            text = "update from non-nil value to nil is forbidden"
            causes.append(Cause.forbidden("spec.volumeAttributesClassName", text))
        return causes

    def prepare_status_update(self, new: Obj, old: Obj) -> None:
        after, before = new["status"], old.get("status") or {}
        after["phase"] = after.get("phase") or "Pending"
        since = before.get("lastPhaseTransitionTime")
        if after.get("phase") == before.get("phase"):
            if since and not after.get("lastPhaseTransitionTime"):
                after["lastPhaseTransitionTime"] = since
        elif after.get("lastPhaseTransitionTime") in (None, since):
            after["lastPhaseTransitionTime"] = now()


def _sources(spec: Obj) -> Obj:
    return {name: spec[name] for name in SOURCES if spec.get(name) is not None}


def _validate_spec(spec: Obj, at: str, name: str) -> Iterator[Cause]:
    if not spec.get("accessModes"):
        yield Cause.required(f"{at}.accessModes")
    yield from modes.validate_access_modes(spec.get("accessModes") or (), f"{at}.accessModes")
    capacity = spec.get("capacity") or {}
    if not capacity:
        yield Cause.required(f"{at}.capacity")
    if set(capacity) != {"storage"}:
        told = dict(sorted(capacity.items())) or None
        yield Cause.not_supported(f"{at}.capacity", told, ("storage",))
    for resource, amount in capacity.items():
        yield from modes.validate_size(amount, f"{at}.capacity[{resource}]")
    policy = spec.get("persistentVolumeReclaimPolicy")
    if policy and policy not in _RECLAIM:
        yield Cause.not_supported(f"{at}.persistentVolumeReclaimPolicy", policy, _RECLAIM)
    affinity = spec.get("nodeAffinity")
    if affinity is not None:
        if affinity.get("required") is None:
            text = "must specify required node constraints"
            yield Cause.required(f"{at}.nodeAffinity.required", text)
        else:
            yield from validate_node_selector(affinity["required"], f"{at}.nodeAffinity.required")
    yield from _validate_source(spec, at, name)
    host_path = spec.get("hostPath") or {}
    if host_path and policy == "Recycle" and posixpath.normpath(host_path.get("path") or "") == "/":
        text = "may not be 'recycle' for a hostPath mount of '/'"
        yield Cause.forbidden(f"{at}.persistentVolumeReclaimPolicy", text)
    yield from modes.validate_class_name(spec.get("storageClassName"), f"{at}.storageClassName")
    yield from modes.validate_volume_mode(spec.get("volumeMode"), f"{at}.volumeMode")
    yield from _validate_attributes(spec, at)


def _validate_source(spec: Obj, at: str, name: str) -> Iterator[Cause]:
    found = [source for source in SOURCES if spec.get(source) is not None]
    if not found:
        yield Cause.required(at, "must specify a volume type")
        return
    # Upstream has nothing against a flexVolume beside others.
    yield from one_source([found[0], *(each for each in found[1:] if each != "flexVolume")], at)
    for kind in dict.fromkeys((found[0], *(each for each in found if each == "flexVolume"))):
        if kind == "hostPath":
            yield from validate_host_path(spec[kind], f"{at}.hostPath")
        elif kind == "local":
            yield from _validate_local(spec, at)
        else:
            yield from validate_remote(kind, spec[kind], at, name, persistent=True)


def _validate_local(spec: Obj, at: str) -> Iterator[Cause]:
    path = spec["local"].get("path") or ""
    if not path:
        yield Cause.required(f"{at}.local.path")
    yield from path_causes(path, f"{at}.local.path", no_backsteps)
    if (spec.get("nodeAffinity") or {}).get("required") is None:
        yield Cause.required(f"{at}.nodeAffinity", "Local volume requires node affinity")


def _validate_attributes(spec: Obj, at: str) -> Iterator[Cause]:
    name = spec.get("volumeAttributesClassName")
    if name is None:
        return
    here = f"{at}.volumeAttributesClassName"
    if not name:
        yield Cause.required(here, "an empty string is disallowed")
    yield from modes.validate_class_name(name, here)
    if spec.get("csi") is None:
        yield Cause.required(f"{at}.csi", "has to be specified when using volumeAttributesClassName")


def _cells(volume: Obj, now: datetime) -> list[Cell]:
    spec, status = volume["spec"], volume.get("status") or {}
    claim = spec.get("claimRef")
    return [
        cells.name(volume),
        str((spec.get("capacity") or {}).get("storage", "0")),
        modes.short(spec.get("accessModes")),
        spec.get("persistentVolumeReclaimPolicy") or "",
        "Terminating" if is_deleting(volume) else status.get("phase") or "",
        f"{claim.get('namespace') or ''}/{claim.get('name') or ''}" if claim else "",
        modes.class_of(volume),
        _or_unset(spec.get("volumeAttributesClassName")),
        status.get("reason") or "",
        cells.created(volume, now),
        _or_unset(spec.get("volumeMode")),
    ]


def _or_unset(text: str | None) -> str:
    return "<unset>" if text is None else text


_PRINTER = Printer(
    (
        NAME,
        Column("Capacity"),
        Column("Access Modes"),
        Column("Reclaim Policy"),
        Column("Status"),
        Column("Claim"),
        Column("StorageClass"),
        Column("VolumeAttributesClass"),
        Column("Reason"),
        AGE,
        Column("VolumeMode", wide=True),
    ),
    _cells,
)

KIND = Kind(PERSISTENTVOLUMES, PersistentVolumeStrategy(), _PRINTER)
