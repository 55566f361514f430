"""Sources of volumes that are kept elsewhere: of pods' volumes and of PersistentVolumes.

Upstream: validate…VolumeSource and validate…PersistentVolumeSource in pkg/apis/core/validation/validation.go,
and the defaults beside them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from wellhead.api.errors import Cause, one_of
from wellhead.api.formats import Check, between, dns_label, dns_subdomain, file_path, no_backsteps
from wellhead.api.meta import Obj

_DEFAULTS: dict[str, Obj] = {
    "iscsi": {"iscsiInterface": "default"},
    "rbd": {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"},
    "scaleIO": {"storageMode": "ThinProvisioned", "fsType": "xfs"},
    "azureDisk": {"cachingMode": "ReadWrite", "kind": "Shared", "fsType": "ext4", "readOnly": False},
}
# Fields that a source must have.
_REQUIRED = {
    "gcePersistentDisk": ("pdName",),
    "awsElasticBlockStore": ("volumeID",),
    "nfs": ("server", "path"),
    "iscsi": ("targetPortal", "iqn"),
    "glusterfs": ("endpoints", "path"),
    "persistentVolumeClaim": ("claimName",),
    "rbd": ("monitors", "image"),
    "cinder": ("volumeID",),
    "cephfs": ("monitors",),
    "flexVolume": ("driver",),
    "azureFile": ("secretName", "shareName"),
    "vsphereVolume": ("volumePath",),
    "photonPersistentDisk": ("pdID",),
    "portworxVolume": ("volumeID",),
    "azureDisk": ("diskName", "diskURI"),
    "scaleIO": ("gateway", "system", "volumeName"),
    "storageos": ("volumeName",),
}
# What upstream calls a source in causes, where it isn't its name.
_SAID = {"gcePersistentDisk": "persistentDisk"}
_FORBIDDEN_AS = {"cephfs": "cephFS", "downwardAPI": "downwarAPI"}
_HOST_PATH_TYPES = (
    "",
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
)
_PARTITION = "must be between 1 and 255, inclusive"
_INITIATORS = {
    "iqn": re.compile(r"iqn\.[0-9]{4}-[0-9]{2}\.([A-Za-z0-9.-]+)(:[^,;*&$|\s]+)$", re.ASCII),
    "eui": re.compile(r"eui.[A-Za-z0-9]{16}"),
    "naa": re.compile(r"naa.[A-Za-z0-9]{32}"),
}
_LONGEST_PORTAL = 64
_LONGEST_TENANT = 64
_LONGEST_DRIVER = 63
_REGISTRY = "must be a host:port pair or multiple pairs separated by commas"
_CACHING = ("None", "ReadOnly", "ReadWrite")
_DISK_KINDS = ("Dedicated", "Managed", "Shared")
_MANAGED_URI = (
    "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}"
)
_BLOB_URI = "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"
_CSI_SECRETS = (
    "controllerPublishSecretRef",
    "controllerExpandSecretRef",
    "nodePublishSecretRef",
    "nodeExpandSecretRef",
)


def default_source(holder: Obj) -> None:
    """Of a pod's volume, or of the spec of a PersistentVolume; in place."""
    for name, defaults in _DEFAULTS.items():
        source: Obj | None = holder.get(name)
        if source is None:
            continue
        for field, value in defaults.items():
            if source.get(field) in (None, ""):
                source[field] = value


def one_source(found: list[str], at: str) -> Iterator[Cause]:
    """Of those that are there, in upstream's order, only the first may be."""
    for name in found[1:]:
        yield Cause.forbidden(
            f"{at}.{_FORBIDDEN_AS.get(name, name)}", "may not specify more than 1 volume type"
        )


def path_causes(path: str, at: str, *checks: Check) -> list[Cause]:
    """What speaks against a path, by these checks."""
    return [Cause.invalid(at, path, problem) for check in checks for problem in check(path)]


def validate_host_path(source: Obj, at: str) -> Iterator[Cause]:
    """A hostPath source, of a pod or of a PersistentVolume."""
    path = source.get("path") or ""
    if not path:
        yield Cause.required(f"{at}.path")
        return
    yield from path_causes(path, f"{at}.path", no_backsteps, file_path)
    if (kind := source.get("type") or "") not in _HOST_PATH_TYPES:
        yield Cause.not_supported(f"{at}.type", kind, _HOST_PATH_TYPES)


def validate_remote(name: str, source: Obj, at: str, volume: str, *, persistent: bool) -> Iterator[Cause]:
    """A source of that name; `at` is where the volume is, `volume` its name.

    `persistent`: of a PersistentVolume, whose secrets have namespaces.
    """
    here = f"{at}.{_SAID.get(name, name)}"
    for field in _REQUIRED.get(name, ()):
        if not source.get(field):
            yield Cause.required(f"{here}.{field}")
    if name in _RULES:
        yield from _RULES[name](source, here, persistent)
    if name == "iscsi" and source.get("initiatorName") is not None:
        portal = source.get("targetPortal") or ""
        if len(f"{volume}:{portal}".encode()) > _LONGEST_PORTAL:
            field, value = ("iscsi.targetportal", portal) if persistent else ("name", volume)
            yield Cause.invalid(
                f"{at}.{field}",
                value,
                "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if "
                "iscsi.initiatorName is specified.",
            )


def _partition(source: Obj, at: str, persistent: bool) -> Iterator[Cause]:
    number = source.get("partition") or 0
    if not 0 <= number <= 255:
        yield Cause.invalid(f"{at}.partition", number, _PARTITION)


def _nfs(source: Obj, at: str, persistent: bool) -> Iterator[Cause]:
    path = source.get("path") or ""
    if not path.startswith("/"):
        yield Cause.invalid(f"{at}.path", path, "must be an absolute path")


def _iscsi(source: Obj, at: str, persistent: bool) -> Iterator[Cause]:
    if source.get("iqn"):
        yield from _initiator(source["iqn"], f"{at}.iqn", persistent)
    yield from _number(source.get("lun") or 0, f"{at}.lun")
    secret = source.get("secretRef")
    if (source.get("chapAuthDiscovery") or source.get("chapAuthSession")) and secret is None:
        yield Cause.required(f"{at}.secretRef")
    if persistent and secret is not None and not secret.get("name"):
        yield Cause.required(f"{at}.secretRef.name")
    if source.get("initiatorName") is not None:
        yield from _initiator(source["initiatorName"], f"{at}.initiatorname", persistent)


def _initiator(name: str, at: str, persistent: bool) -> Iterator[Cause]:
    pattern = _INITIATORS.get(name[:3])
    if pattern is None:
        text = "must be valid format" if persistent else "must be valid format starting with iqn, eui, or naa"
        yield Cause.invalid(at, name, text)
    elif not (pattern.search(name) if name.startswith("iqn") else pattern.fullmatch(name)):
        yield Cause.invalid(at, name, "must be valid format")


def _number(number: int, at: str) -> Iterator[Cause]:
    for problem in between(number, 0, 255):
        yield Cause.invalid(at, number, problem)


def _fc(source: Obj, at: str, persistent: bool) -> Iterator[Cause]:
    names, ids, unit = source.get("targetWWNs"), source.get("wwids"), source.get("lun")
    if not names and not ids:
        text = "must specify either targetWWNs or wwids, but not both"
        yield Cause.required(f"{at}.targetWWNs", text)
    if names and ids:
        text = "targetWWNs and wwids can not be specified simultaneously"
        yield Cause.invalid(f"{at}.targetWWNs", names, text)
    if names and unit is None:
        yield Cause.required(f"{at}.lun", "lun is required if targetWWNs is specified")
    elif names and unit is not None:
        yield from _number(unit, f"{at}.lun")


def _quobyte(source: Obj, at: str, persistent: bool) -> Iterator[Cause]:
    registry = source.get("registry") or ""
    if not registry:
        yield Cause.required(f"{at}.registry", _REGISTRY)
    elif len((source.get("tenant") or "").encode()) > _LONGEST_TENANT:
        text = "must be a UUID and may not exceed a length of 64 characters"
        yield Cause.required(f"{at}.tenant", text)
    else:
        for pair in registry.split(","):
            if not _is_host_and_port(pair):
                yield Cause.invalid(f"{at}.registry", registry, _REGISTRY)
    if not source.get("volume"):
        yield Cause.required(f"{at}.volume")


def _is_host_and_port(text: str) -> bool:
    """As Go's SplitHostPort takes it: anything with one colon, or with brackets and one."""
    host, colon, port = text.rpartition(":")
    if not colon or "[" in port or "]" in port:
        return False
    if host.startswith("["):
        return host.endswith("]") and "[" not in host[1:] and "]" not in host[:-1]
    return not any(character in host for character in ":[]")


def _glusterfs(source: Obj, at: str, persistent: bool) -> Iterator[Cause]:
    namespace = source.get("endpointsNamespace")
    if not persistent or namespace is None:
        return
    here = f"{at}.endpointsNamespace"
    if not namespace:
        text = "if the endpointnamespace is set, it must be a valid namespace name"
        yield Cause.invalid(here, namespace, text)
    else:
        yield from _formed(namespace, here, dns_label)


def _formed(value: str, at: str, check: Check) -> Iterator[Cause]:
    yield from (Cause.invalid(at, value, problem) for problem in check(value))


def _flocker(source: Obj, at: str, persistent: bool) -> Iterator[Cause]:
    name, uid = source.get("datasetName") or "", source.get("datasetUUID") or ""
    if not name and not uid:
        yield Cause.required(at, "one of datasetName and datasetUUID is required")
    if name and uid:
        text = "datasetName and datasetUUID can not be specified simultaneously"
        yield Cause.invalid(at, "resource", text)
    if "/" in name:
        yield Cause.invalid(f"{at}.datasetName", name, "must not contain '/'")


def _secret(source: Obj, at: str, persistent: bool) -> Iterator[Cause]:
    secret = source.get("secretRef")
    for field in ("name", *(("namespace",) if persistent else ())) if secret is not None else ():
        if not (secret or {}).get(field):
            yield Cause.required(f"{at}.secretRef.{field}")


def _flex(source: Obj, at: str, persistent: bool) -> Iterator[Cause]:
    for key in source.get("options") or {}:
        domain = f".{key.partition('/')[0].lower()}"
        if domain.endswith((".kubernetes.io", ".k8s.io")):
            text = "kubernetes.io and k8s.io namespaces are reserved"
            yield Cause.invalid(f"{at}.options[{key}]", key, text)


def _azure_file(source: Obj, at: str, persistent: bool) -> Iterator[Cause]:
    if persistent and source.get("secretNamespace") == "":
        yield Cause.required(f"{at}.secretNamespace")


def _azure_disk(source: Obj, at: str, persistent: bool) -> Iterator[Cause]:
    kind, uri = source.get("kind"), source.get("diskURI") or ""
    if (mode := source.get("cachingMode")) is not None:
        yield from one_of(f"{at}.cachingMode", mode, _CACHING)
    if kind is not None:
        yield from one_of(f"{at}.kind", kind, _DISK_KINDS)
    if kind == "Managed" and not uri.startswith("/subscriptions/"):
        yield Cause.not_supported(f"{at}.diskURI", uri, (_MANAGED_URI,))
    if kind not in (None, "Managed") and not uri.startswith("https://"):
        yield Cause.not_supported(f"{at}.diskURI", uri, (_BLOB_URI,))


def _storageos(source: Obj, at: str, persistent: bool) -> Iterator[Cause]:
    for field in ("volumeName", "volumeNamespace"):
        if source.get(field):
            yield from _formed(source[field], f"{at}.{field}", dns_label)
    yield from _secret(source, at, persistent)


def _csi(source: Obj, at: str, persistent: bool) -> Iterator[Cause]:
    driver = source.get("driver") or ""
    if not driver:
        yield Cause.required(f"{at}.driver")
    else:
        if len(driver.encode()) > _LONGEST_DRIVER:
            yield Cause.too_long(f"{at}.driver", _LONGEST_DRIVER)
        yield from (Cause.invalid(f"{at}.driver", driver, text) for text in dns_subdomain(driver.lower()))
    if not persistent:
        yield from _pod_secret(source.get("nodePublishSecretRef"), at)
        return
    if not source.get("volumeHandle"):
        yield Cause.required(f"{at}.volumeHandle")
    for field in _CSI_SECRETS:
        if source.get(field) is not None:
            yield from _reference(source[field], f"{at}.{field}")


def _pod_secret(secret: Obj | None, at: str) -> Iterator[Cause]:
    if secret is None:
        return
    if not secret.get("name"):
        yield Cause.required(f"{at}.nodePublishSecretRef.name")
    else:
        yield from _formed(secret["name"], f"{at}.name", dns_subdomain)


def _reference(secret: Obj, at: str) -> Iterator[Cause]:
    for field, check in (("name", dns_subdomain), ("namespace", dns_label)):
        if not secret.get(field):
            yield Cause.required(f"{at}.{field}")
        else:
            yield from _formed(secret[field], f"{at}.{field}", check)


_RULES: dict[str, Callable[[Obj, str, bool], Iterator[Cause]]] = {
    "gcePersistentDisk": _partition,
    "awsElasticBlockStore": _partition,
    "nfs": _nfs,
    "iscsi": _iscsi,
    "fc": _fc,
    "quobyte": _quobyte,
    "glusterfs": _glusterfs,
    "flocker": _flocker,
    "cinder": _secret,
    "flexVolume": _flex,
    "azureFile": _azure_file,
    "azureDisk": _azure_disk,
    "storageos": _storageos,
    "csi": _csi,
}
