"""What a valid volume is, above all: which paths it may name.

Upstream: ValidateVolumes and what it calls, in pkg/apis/core/validation/validation.go. Beyond it, names that
no file can have (too long, with a NUL) are refused here already, not only when a node tries to write them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from wellhead.api.errors import Cause, one_of
from wellhead.api.formats import Check, dns_label, dns_subdomain, file_path, local_path, no_backsteps
from wellhead.api.kinds.pod.downward import (
    FIELDS_OF_VOLUMES,
    validate_field_reference,
    validate_resource_reference,
)
from wellhead.api.meta import Obj
from wellhead.api.quantity import Quantity

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
_MODE = "must be a number between 0 and 0777 (octal), both inclusive"
_DIRECTORY_MODE = "must be a number between 0 and 01777 (octal), both inclusive"
_ID_MAX = 2**31 - 1
_TOKEN_SECONDS_MIN, _TOKEN_SECONDS_MAX = 600, 1 << 32
# Where each kind of source says which object it is about.
_NAMES = (("secret", "secretName"), ("configMap", "name"))
# Fields that a source must have.
_REQUIRED = (
    ("persistentVolumeClaim", ("claimName",)),
    ("nfs", ("server", "path")),
    ("csi", ("driver",)),
    ("ephemeral", ("volumeClaimTemplate",)),
)
_LONGEST_DRIVER = 63
# Fields of a podCertificate source that name a file; each may be left out.
_CERTIFICATE_PATHS = ("credentialBundlePath", "keyPath", "certificateChainPath")


def validate_volumes(volumes: Sequence[Obj], at: str) -> list[Cause]:
    """A pod's volumes, with defaults."""
    causes: list[Cause] = []
    names: set[str] = set()
    for index, volume in enumerate(volumes):
        name = volume.get("name") or ""
        here = f"{at}[{index}]"
        if not name:
            causes.append(Cause.required(f"{here}.name"))
        else:
            causes += [Cause.invalid(f"{here}.name", name, problem) for problem in dns_label(name)]
            if name in names:
                causes.append(Cause.duplicate(f"{here}.name", name))
            names.add(name)
        causes += _validate_source(volume, here)
    return causes


def path_causes(path: str, at: str, *checks: Check) -> list[Cause]:
    """What speaks against a path, by these checks."""
    return [Cause.invalid(at, path, problem) for check in checks for problem in check(path)]


def _validate_source(volume: Obj, at: str) -> Iterator[Cause]:
    sources = [field for field in volume if field != "name"]
    for source in sources[1:]:
        yield Cause.forbidden(f"{at}.{source}", "may not specify more than 1 volume type")
    if "hostPath" in volume:
        yield from validate_host_path(volume["hostPath"], f"{at}.hostPath")
    for source, field in _NAMES:
        if source in volume:
            yield from _validate_object(volume[source], f"{at}.{source}", field)
    for source in ("secret", "configMap", "downwardAPI", "projected"):
        yield from _validate_mode(volume.get(source) or {}, "defaultMode", f"{at}.{source}")
        yield from validate_ids(volume.get(source) or {}, f"{at}.{source}", "defaultUser")
    mode = (volume.get("emptyDir") or {}).get("mode")
    if mode is not None and not 0 <= mode <= 0o1777:
        yield Cause.invalid(f"{at}.emptyDir.mode", mode, _DIRECTORY_MODE)
    if "downwardAPI" in volume:
        yield from _validate_downward(volume["downwardAPI"], f"{at}.downwardAPI")
    if "projected" in volume:
        yield from _validate_projected(volume["projected"], f"{at}.projected")
    yield from _validate_storage(volume, at)
    if "gitRepo" in volume and (directory := volume["gitRepo"].get("directory")):
        yield from path_causes(directory, f"{at}.gitRepo.directory", local_path)


def _validate_storage(volume: Obj, at: str) -> Iterator[Cause]:
    """What is stored elsewhere, or is limited."""
    if (limit := (volume.get("emptyDir") or {}).get("sizeLimit")) is not None:
        try:
            fits = Quantity.parse(limit).nanos >= 0
        except ValueError:
            fits = False
        if not fits:
            text = "SizeLimit field must be a valid resource quantity"
            yield Cause.forbidden(f"{at}.emptyDir.sizeLimit", text)
    for source, fields in _REQUIRED:
        for field in fields if source in volume else ():
            if not volume[source].get(field):
                yield Cause.required(f"{at}.{source}.{field}")
    if (path := (volume.get("nfs") or {}).get("path")) and not path.startswith("/"):
        yield Cause.invalid(f"{at}.nfs.path", path, "must be an absolute path")
    if driver := (volume.get("csi") or {}).get("driver"):
        if len(driver) > _LONGEST_DRIVER:
            yield Cause.too_long(f"{at}.csi.driver", _LONGEST_DRIVER)
        for problem in dns_subdomain(driver.lower()):
            yield Cause.invalid(f"{at}.csi.driver", driver, problem)
    if policy := (volume.get("image") or {}).get("pullPolicy"):
        yield from one_of(f"{at}.image.pullPolicy", policy, ("Always", "IfNotPresent", "Never"))


def validate_host_path(source: Obj, at: str) -> Iterator[Cause]:
    """A hostPath source, of a pod or of a PersistentVolume."""
    path = source.get("path") or ""
    if not path:
        yield Cause.required(f"{at}.path")
        return
    yield from path_causes(path, f"{at}.path", no_backsteps, file_path)
    if (kind := source.get("type") or "") not in _HOST_PATH_TYPES:
        yield Cause.not_supported(f"{at}.type", kind, _HOST_PATH_TYPES)


def _validate_object(source: Obj, at: str, name: str) -> Iterator[Cause]:
    """A ConfigMap's or Secret's keys as files."""
    if not source.get(name):
        yield Cause.required(f"{at}.{name}")
    for index, item in enumerate(source.get("items") or ()):
        here = f"{at}.items[{index}]"
        if not item.get("key"):
            yield Cause.required(f"{here}.key")
        yield from _validate_file(item, here)


def _validate_downward(source: Obj, at: str) -> Iterator[Cause]:
    for index, item in enumerate(source.get("items") or ()):
        here = f"{at}.items[{index}]"
        yield from _validate_file(item, here)
        references = [field for field in ("fieldRef", "resourceFieldRef") if item.get(field) is not None]
        if "fieldRef" in references:
            yield from validate_field_reference(item["fieldRef"], f"{here}.fieldRef", FIELDS_OF_VOLUMES)
        elif references:
            place = f"{here}.resourceFieldRef"
            yield from validate_resource_reference(item["resourceFieldRef"], place, of_volume=True)
        if not references:
            yield Cause.required(here, "one of fieldRef and resourceFieldRef is required")
        elif len(references) > 1:
            text = "fieldRef and resourceFieldRef can not be specified simultaneously"
            yield Cause.invalid(here, "resource", text)


def _validate_file(item: Obj, at: str) -> Iterator[Cause]:
    path = item.get("path") or ""
    if not path:
        yield Cause.required(f"{at}.path")
    yield from path_causes(path, f"{at}.path", local_path)
    yield from _validate_mode(item, "mode", at)
    yield from validate_ids(item, at, "user")


def _validate_mode(source: Obj, field: str, at: str) -> Iterator[Cause]:
    mode = source.get(field)
    if mode is not None and not 0 <= mode <= 0o777:
        yield Cause.invalid(f"{at}.{field}", mode, _MODE)


def validate_ids(source: Obj, at: str, *fields: str) -> Iterator[Cause]:
    """Users and groups, each a number or a list of them."""
    for field in fields:
        value = source.get(field)
        for index, number in enumerate(value if isinstance(value, list) else [value]):
            if number is not None and not 0 <= number <= _ID_MAX:
                place = f"{at}.{field}[{index}]" if isinstance(value, list) else f"{at}.{field}"
                yield Cause.invalid(place, number, f"must be between 0 and {_ID_MAX}, inclusive")


def _validate_projected(volume: Obj, at: str) -> Iterator[Cause]:
    paths: set[str] = set()
    for index, source in enumerate(volume.get("sources") or ()):
        here = f"{at}.sources[{index}]"
        for kind in ("secret", "configMap"):
            if kind in source:
                yield from _validate_object(source[kind], f"{here}.{kind}", "name")
        if "downwardAPI" in source:
            yield from _validate_downward(source["downwardAPI"], f"{here}.downwardAPI")
        if "serviceAccountToken" in source:
            yield from _validate_token(source["serviceAccountToken"], f"{here}.serviceAccountToken")
        if "clusterTrustBundle" in source:
            yield from _validate_file(source["clusterTrustBundle"], f"{here}.clusterTrustBundle")
        for field in _CERTIFICATE_PATHS:
            path = (source.get("podCertificate") or {}).get(field)
            yield from path_causes(path or "", f"{here}.podCertificate.{field}", local_path)
        if len(source) > 1:
            yield Cause.forbidden(here, "may not specify more than 1 volume type per source")
        for path in filter(None, _paths(source)):
            if path in paths:
                yield Cause.invalid(at, path, "conflicting duplicate paths")
            paths.add(path)


def _validate_token(source: Obj, at: str) -> Iterator[Cause]:
    seconds = source["expirationSeconds"]
    if seconds < _TOKEN_SECONDS_MIN:
        text = "may not specify a duration less than 10 minutes"
        yield Cause.invalid(f"{at}.expirationSeconds", seconds, text)
    if seconds > _TOKEN_SECONDS_MAX:
        text = "may not specify a duration larger than 2^32 seconds"
        yield Cause.invalid(f"{at}.expirationSeconds", seconds, text)
    yield from _validate_file(source, at)


def _paths(source: Obj) -> Iterable[str]:
    for kind in ("secret", "configMap", "downwardAPI"):
        for item in (source.get(kind) or {}).get("items") or ():
            yield item.get("path") or ""
    for kind in ("serviceAccountToken", "clusterTrustBundle"):
        yield (source.get(kind) or {}).get("path") or ""
