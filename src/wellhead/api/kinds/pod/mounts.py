"""What a container mounts, and as which devices it sees volumes.

Upstream: ValidateVolumeMounts and ValidateVolumeDevices in pkg/apis/core/validation/validation.go.
"""

from __future__ import annotations

from collections.abc import Mapping

from wellhead.api.errors import Cause, one_of
from wellhead.api.formats import descending_path, file_path, no_backsteps
from wellhead.api.kinds.volume_sources import path_causes
from wellhead.api.meta import Obj

BIND_MOUNT_OPTIONS = frozenset({"noexec", "nodev", "nosuid"})
_PROPAGATIONS = ("Bidirectional", "HostToContainer", "None")
_BLOCK_SOURCES = ("persistentVolumeClaim", "ephemeral")


def validate_mounts(container: Obj, at: str, volumes: Mapping[str, Obj]) -> list[Cause]:
    """volumeMounts and volumeDevices of the container at `at`."""
    causes = _validate_devices(container, f"{at}.volumeDevices", volumes)
    at = f"{at}.volumeMounts"
    devices = container.get("volumeDevices") or ()
    paths: set[str] = set()
    privileged = bool((container.get("securityContext") or {}).get("privileged"))
    for index, mount in enumerate(container.get("volumeMounts") or ()):
        here = f"{at}[{index}]"
        name, path = mount.get("name") or "", mount.get("mountPath") or ""
        if not name:
            causes.append(Cause.required(f"{here}.name"))
        elif name not in volumes:
            causes.append(Cause.not_found(f"{here}.name", name))
        if not path:
            causes.append(Cause.required(f"{here}.mountPath"))
        elif path in paths:
            causes.append(Cause.invalid(f"{here}.mountPath", path, "must be unique"))
        paths.add(path)
        if name and any(device.get("name") == name for device in devices):
            causes.append(Cause.invalid(f"{here}.name", name, "must not already exist in volumeDevices"))
        if path and any(device.get("devicePath") == path for device in devices):
            text = "must not already exist as a path in volumeDevices"
            causes.append(Cause.invalid(f"{here}.mountPath", path, text))
        causes += path_causes(path, f"{here}.mountPath", file_path)
        for field in ("subPath", "subPathExpr"):
            # Upstream leaves the first one's index out.
            place = at if field == "subPath" else here
            causes += path_causes(mount.get(field) or "", f"{place}.{field}", descending_path)
        for number, option in enumerate(mount.get("bindMountOptions") or ()):
            causes += one_of(f"{here}.bindMountOptions[{number}]", option, BIND_MOUNT_OPTIONS)
        if mount.get("subPath") and mount.get("subPathExpr"):
            causes.append(
                Cause.invalid(
                    f"{here}.subPathExpr",
                    mount["subPathExpr"],
                    "subPathExpr and subPath are mutually exclusive",
                )
            )
        causes += _validate_propagation(mount, at, privileged)
    return causes


def _validate_propagation(mount: Obj, at: str, privileged: bool) -> list[Cause]:
    """mountPropagation and recursiveReadOnly, at upstream's paths: they don't say of which mount."""
    causes: list[Cause] = []
    propagation, recursive = mount.get("mountPropagation"), mount.get("recursiveReadOnly")
    if propagation is not None:
        causes += one_of(f"{at}.mountPropagation", propagation, _PROPAGATIONS)
        if propagation == "Bidirectional" and not privileged:
            text = "Bidirectional mount propagation is available only to privileged containers"
            causes.append(Cause.forbidden(f"{at}.mountPropagation", text))
    if recursive in ("Enabled", "IfPossible"):
        if not mount.get("readOnly"):
            text = "may only be specified when readOnly is true"
            causes.append(Cause.forbidden(f"{at}.recursiveReadOnly", text))
        if propagation not in (None, "None"):
            text = "may only be specified when mountPropagation is None or not specified"
            causes.append(Cause.forbidden(f"{at}.recursiveReadOnly", text))
    elif recursive is not None:
        causes += one_of(f"{at}.recursiveReadOnly", recursive, ("Disabled", "Enabled", "IfPossible"))
    return causes


def _validate_devices(container: Obj, at: str, volumes: Mapping[str, Obj]) -> list[Cause]:
    causes: list[Cause] = []
    seen: dict[str, set[str]] = {"name": set(), "devicePath": set()}
    mounts = container.get("volumeMounts") or ()
    for index, device in enumerate(container.get("volumeDevices") or ()):
        here, name, path = f"{at}[{index}]", device.get("name") or "", device.get("devicePath") or ""
        volume = volumes.get(name)
        if volume is None:
            causes.append(Cause.not_found(f"{here}.name", name))
        elif not any(source in volume for source in _BLOCK_SOURCES):
            text = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"
            causes.append(Cause.invalid(f"{here}.name", name, text))
        if no_backsteps(path):
            causes.append(Cause.invalid(f"{here}.devicePath", path, "can not contain backsteps ('..')"))
        for field, value in (("name", name), ("devicePath", path)):
            if not value:
                causes.append(Cause.required(f"{here}.{field}"))
            elif value in seen[field]:
                causes.append(Cause.invalid(f"{here}.{field}", value, "must be unique"))
            seen[field].add(value)
        if name and any(mount.get("name") == name for mount in mounts):
            causes.append(Cause.invalid(f"{here}.name", name, "must not already exist in volumeMounts"))
        if path and any(mount.get("mountPath") == path for mount in mounts):
            text = "must not already exist as a path in volumeMounts"
            causes.append(Cause.invalid(f"{here}.devicePath", path, text))
    return causes
