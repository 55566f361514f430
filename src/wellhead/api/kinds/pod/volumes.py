"""What a valid volume is, above all: which paths it may name.

Upstream: ValidateVolumes and what it calls, in pkg/apis/core/validation/validation.go. Beyond it, names that
no file can have (too long, with a NUL) are refused here already, not only when a node tries to write them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from wellhead.api.errors import Cause, one_of
from wellhead.api.formats import dns_label, dns_subdomain, local_path
from wellhead.api.kinds.pod.downward import (
    FIELDS_OF_VOLUMES,
    validate_field_reference,
    validate_resource_reference,
)
from wellhead.api.kinds.signers import validate_prefixed_key, validate_signer_name
from wellhead.api.kinds.storage.claims import validate_claim_spec
from wellhead.api.kinds.volume_sources import one_source, path_causes, validate_host_path, validate_remote
from wellhead.api.meta import Obj
from wellhead.api.metadata import validate_annotations, validate_label_selector, validate_labels
from wellhead.api.quantity import Quantity

_MODE = "must be a number between 0 and 0777 (octal), both inclusive"
_DIRECTORY_MODE = "must be a number between 0 and 01777 (octal), both inclusive"
_ID_MAX = 2**31 - 1
_TOKEN_SECONDS_MIN, _TOKEN_SECONDS_MAX = 600, 1 << 32
_ORDER = (
    "emptyDir",
    "hostPath",
    "gitRepo",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "secret",
    "nfs",
    "iscsi",
    "glusterfs",
    "flocker",
    "persistentVolumeClaim",
    "rbd",
    "cinder",
    "cephfs",
    "quobyte",
    "downwardAPI",
    "fc",
    "flexVolume",
    "configMap",
    "azureFile",
    "vsphereVolume",
    "photonPersistentDisk",
    "portworxVolume",
    "azureDisk",
    "storageos",
    "projected",
    "scaleIO",
    "csi",
    "ephemeral",
    "image",
)
"""Sources as upstream looks at them: what comes after the first is one too many."""
# Fields of a podCertificate source that name a file; each may be left out.
_KEY_TYPES = ("RSA3072", "RSA4096", "ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519")
_FEWEST_SECONDS, _MOST_SECONDS, _MOST_SECONDS_OF_KUBERNETES = 3600, 7862400, 86400
_CERTIFICATE_PATHS = ("credentialBundlePath", "keyPath", "certificateChainPath")


def validate_volumes(volumes: Sequence[Obj], at: str) -> tuple[dict[str, Obj], list[Cause]]:
    """Of a pod: the volumes that can be mounted, by name, and what is wrong with the others."""
    causes: list[Cause] = []
    names: dict[str, Obj] = {}
    for index, volume in enumerate(volumes):
        name = volume.get("name") or ""
        here = f"{at}[{index}]"
        found = list(_validate_source(volume, here))
        if not name:
            found.append(Cause.required(f"{here}.name"))
        else:
            found += [Cause.invalid(f"{here}.name", name, problem) for problem in dns_label(name)]
            if name in names:
                found.append(Cause.duplicate(f"{here}.name", name))
        if not found:
            names[name] = volume
        causes += found
    return names, causes


def validate_claims_of_volumes(pod: Obj) -> Iterator[Cause]:
    """That no volume asks for a claim which is made for another volume of the pod."""
    volumes = pod["spec"].get("volumes") or ()
    name = pod["metadata"].get("name")
    made = {f"{name}-{each.get('name')}" for each in volumes if name and each.get("ephemeral") is not None}
    for index, volume in enumerate(volumes):
        claim = (volume.get("persistentVolumeClaim") or {}).get("claimName")
        if claim in made:
            at = f"spec.volumes[{index}].persistentVolumeClaim.claimName"
            text = "must not reference a PVC that gets created for an ephemeral volume"
            yield Cause.invalid(at, claim, text)


def _validate_source(volume: Obj, at: str) -> Iterator[Cause]:
    sources = [field for field in _ORDER if volume.get(field) is not None]
    if not sources:
        yield Cause.required(at, "must specify a volume type")
        return
    yield from one_source(sources, at)
    kind = sources[0]
    source, here = volume[kind], f"{at}.{kind}"
    if kind in _LOCAL:
        yield from _LOCAL[kind](source, here)
    else:
        yield from validate_remote(kind, source, at, volume.get("name") or "", persistent=False)


def _validate_empty_dir(source: Obj, at: str) -> Iterator[Cause]:
    if (limit := source.get("sizeLimit")) is not None and Quantity.parse(limit).nanos < 0:
        yield Cause.forbidden(f"{at}.sizeLimit", "SizeLimit field must be a valid resource quantity")
    mode = source.get("mode")
    if mode is not None and not 0 <= mode <= 0o1777:
        yield Cause.invalid(f"{at}.mode", mode, _DIRECTORY_MODE)


def _validate_repository(source: Obj, at: str) -> Iterator[Cause]:
    if not source.get("repository"):
        yield Cause.required(f"{at}.repository")
    yield from path_causes(source.get("directory") or "", f"{at}.directory", local_path)


def _validate_claim_template(source: Obj, at: str) -> Iterator[Cause]:
    template, here = source.get("volumeClaimTemplate"), f"{at}.volumeClaimTemplate"
    if template is None:
        yield Cause.required(here)
        return
    metadata = template.get("metadata") or {}
    yield from validate_annotations(metadata.get("annotations"), f"{here}.metadata.annotations")
    yield from validate_labels(metadata.get("labels"), f"{here}.metadata.labels")
    for field in metadata:
        if field not in ("annotations", "labels"):
            yield Cause.forbidden(f"{here}.metadata.{field}", "cannot be set")
    yield from validate_claim_spec(template.get("spec") or {}, f"{here}.spec")


def _validate_image(source: Obj, at: str) -> Iterator[Cause]:
    if policy := source.get("pullPolicy"):
        yield from one_of(f"{at}.pullPolicy", policy, ("Always", "IfNotPresent", "Never"))


def _validate_files(name: str) -> Callable[[Obj, str], Iterator[Cause]]:
    """The rules of a volume made of an object, whose name is in that field."""

    def validate(source: Obj, at: str) -> Iterator[Cause]:
        if not source.get(name):
            yield Cause.required(f"{at}.{name}")
        yield from _validate_mode(source, "defaultMode", at)
        yield from validate_ids(source, at, "defaultUser")
        yield from _validate_items(source, at)

    return validate


def _validate_object(source: Obj, at: str, name: str) -> Iterator[Cause]:
    """A ConfigMap's or Secret's keys as files of a projected volume."""
    if not source.get(name):
        yield Cause.required(f"{at}.{name}")
    yield from _validate_items(source, at)


def _validate_items(source: Obj, at: str) -> Iterator[Cause]:
    for index, item in enumerate(source.get("items") or ()):
        here = f"{at}.items[{index}]"
        if not item.get("key"):
            yield Cause.required(f"{here}.key")
        yield from _validate_file(item, here)


def _validate_downward(source: Obj, at: str) -> Iterator[Cause]:
    yield from _validate_mode(source, "defaultMode", at)
    yield from validate_ids(source, at, "defaultUser")
    for item in source.get("items") or ():
        yield from _validate_downward_file(item, at)


def _validate_downward_file(item: Obj, at: str) -> Iterator[Cause]:
    """`at` is the source's place: upstream doesn't say which item it is."""
    yield from _validate_path(item, at)
    references = [field for field in ("fieldRef", "resourceFieldRef") if item.get(field) is not None]
    if "fieldRef" in references:
        yield from validate_field_reference(item["fieldRef"], f"{at}.fieldRef", FIELDS_OF_VOLUMES)
    elif references:
        place = f"{at}.resourceFieldRef"
        yield from validate_resource_reference(item["resourceFieldRef"], place, of_volume=True)
    if not references:
        yield Cause.required(at, "one of fieldRef and resourceFieldRef is required")
    elif len(references) > 1:
        text = "fieldRef and resourceFieldRef can not be specified simultaneously"
        yield Cause.invalid(at, "resource", text)
    yield from _validate_mode(item, "mode", at)
    yield from validate_ids(item, at, "user")


def _validate_path(item: Obj, at: str) -> Iterator[Cause]:
    path = item.get("path") or ""
    if not path:
        yield Cause.required(f"{at}.path")
    yield from path_causes(path, f"{at}.path", local_path)


def _validate_file(item: Obj, at: str) -> Iterator[Cause]:
    yield from _validate_path(item, at)
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
    yield from _validate_mode(volume, "defaultMode", at)
    yield from validate_ids(volume, at, "defaultUser")
    paths: set[str] = set()
    for index, source in enumerate(volume.get("sources") or ()):
        here = f"{at}.sources[{index}]"
        for kind in ("secret", "configMap"):
            if kind in source:
                yield from _validate_object(source[kind], f"{here}.{kind}", "name")
        for item in (source.get("downwardAPI") or {}).get("items") or ():
            yield from _validate_downward_file(item, f"{here}.downwardAPI")
        if "serviceAccountToken" in source:
            yield from _validate_token(source["serviceAccountToken"], f"{here}.serviceAccountToken", at)
        if "clusterTrustBundle" in source:
            yield from _validate_bundle(source["clusterTrustBundle"], f"{here}.clusterTrustBundle")
        if "podCertificate" in source:
            yield from _validate_certificate(source["podCertificate"], f"{here}.podCertificate")
        if len(source) > 1:
            yield Cause.forbidden(here, "may not specify more than 1 volume type per source")
        for path, told in _paths(source):
            if path in paths:
                yield Cause.invalid(at, told, "conflicting duplicate paths")
            paths.add(path)


def _validate_bundle(source: Obj, at: str) -> Iterator[Cause]:
    name, signer, selector = (source.get(field) for field in ("name", "signerName", "labelSelector"))
    if name is not None and signer is not None:
        yield Cause.invalid(at, source, "only one of name and signerName may be used")
    elif name is not None:
        yield from _validate_bundle_name(name, f"{at}.name")
        if selector is not None:
            text = "labelSelector must be unset if name is specified"
            yield Cause.invalid(f"{at}.labelSelector", selector, text)
    elif signer is not None:
        if not signer:
            yield Cause.required(f"{at}.signerName", "must be a valid signer name")
        yield from validate_signer_name(signer, f"{at}.signerName")
        yield from validate_label_selector(selector, f"{at}.labelSelector")
    else:
        yield Cause.required(at, "either name or signerName must be specified")
    yield from _validate_path(source, at)


def _validate_bundle_name(name: str, at: str) -> Iterator[Cause]:
    """Of a bundle that no signer has, or of one that a signer does: `example.com:signer:name`."""
    if not name:
        yield Cause.required(at, "must be a valid object name")
    signer, colon, own = name.rpartition(":")
    for problem in dns_subdomain(own if colon and ":" in signer else name):
        yield Cause.invalid(at, name, f"not a valid clustertrustbundlename: {problem}")


def _validate_certificate(source: Obj, at: str) -> Iterator[Cause]:
    signer = source.get("signerName") or ""
    yield from validate_signer_name(signer, f"{at}.signerName")
    for key in source.get("userAnnotations") or {}:
        yield from validate_prefixed_key(key.lower(), f"{at}.userAnnotations")
    yield from one_of(f"{at}.keyType", source.get("keyType"), _KEY_TYPES)
    seconds = source.get("maxExpirationSeconds")
    most = _MOST_SECONDS_OF_KUBERNETES if signer.startswith("kubernetes.io/") else _MOST_SECONDS
    for wrong, text in (
        (seconds is not None and seconds < _FEWEST_SECONDS, f">= {_FEWEST_SECONDS}"),
        (seconds is not None and seconds > most, f"<= {most}"),
    ):
        if wrong:
            text = f"if provided, maxExpirationSeconds must be {text}"
            yield Cause.invalid(f"{at}.maxExpirationSeconds", seconds, text)
    for field in _CERTIFICATE_PATHS:
        yield from path_causes(source.get(field) or "", f"{at}.{field}", local_path)
    if not any(source.get(field) for field in _CERTIFICATE_PATHS):
        text = "specify at least one of credentialBundlePath, keyPath, and certificateChainPath"
        yield Cause.required(at, text)


def _validate_token(source: Obj, at: str, volume: str) -> Iterator[Cause]:
    """`volume` is the volume's place, where upstream looks for the path."""
    seconds = source["expirationSeconds"]
    if seconds < _TOKEN_SECONDS_MIN:
        text = "may not specify a duration less than 10 minutes"
        yield Cause.invalid(f"{at}.expirationSeconds", seconds, text)
    if seconds > _TOKEN_SECONDS_MAX:
        text = "may not specify a duration larger than 2^32 seconds"
        yield Cause.invalid(f"{at}.expirationSeconds", seconds, text)
    yield from _validate_path(source, volume)
    yield from validate_ids(source, at, "user")


def _paths(source: Obj) -> Iterator[tuple[str, str]]:
    """The paths that a source writes, and what is named if there is one already."""
    for kind in ("secret", "configMap", "downwardAPI"):
        told = (source.get(kind) or {}).get("name") or ""
        for item in (source.get(kind) or {}).get("items") or ():
            if path := item.get("path"):
                yield path, path if kind == "downwardAPI" else told
    for kind in ("serviceAccountToken", "clusterTrustBundle"):  # upstream lets tokens pass
        if path := (source.get(kind) or {}).get("path"):
            yield path, path
    for field in _CERTIFICATE_PATHS:
        if path := (source.get("podCertificate") or {}).get(field):
            yield path, path


_LOCAL: dict[str, Callable[[Obj, str], Iterator[Cause]]] = {
    "emptyDir": _validate_empty_dir,
    "hostPath": validate_host_path,
    "gitRepo": _validate_repository,
    "secret": _validate_files("secretName"),
    "configMap": _validate_files("name"),
    "downwardAPI": _validate_downward,
    "projected": _validate_projected,
    "ephemeral": _validate_claim_template,
    "image": _validate_image,
}
"""What the agent itself makes of what the API has."""
