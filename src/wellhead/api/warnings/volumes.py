"""Volumes: kinds that are gone, and files of one volume that lie in each other's way.

Upstream: warningsForPodSpecAndMeta and warningsForOverlappingVirtualPaths in pkg/api/pod/warnings.go, and
pkg/api/persistentvolume/util.go.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from wellhead.api.meta import Obj
from wellhead.api.warnings.amounts import of_claim

_GONE = {
    "photonPersistentDisk": "deprecated in v1.11, non-functional in v1.16+",
    "gitRepo": "deprecated in v1.11, and disabled by default in v1.33+",
    "scaleIO": "deprecated in v1.16, non-functional in v1.22+",
    "flocker": "deprecated in v1.22, non-functional in v1.25+",
    "storageos": "deprecated in v1.22, non-functional in v1.25+",
    "quobyte": "deprecated in v1.22, non-functional in v1.25+",
    "glusterfs": "deprecated in v1.25, non-functional in v1.26+",
    "cephfs": "deprecated in v1.28, non-functional in v1.31+",
    "rbd": "deprecated in v1.28, non-functional in v1.31+",
}
_OF_PERSISTENT = ("cephfs", "photonPersistentDisk", "scaleIO", "storageos", "glusterfs", "rbd")
_SPELLED = {"storageos": "storageOS"}


def of_persistent(spec: Obj) -> Iterator[str]:
    """The source of a PersistentVolume."""
    for kind in _OF_PERSISTENT:
        if spec.get(kind) is not None:
            yield f"spec.{_SPELLED.get(kind, kind)}: {_GONE[kind]}"


def of_volumes(at: str, volumes: Sequence[Obj]) -> Iterator[str]:
    """The volumes of a pod."""
    for index, volume in enumerate(volumes):
        here = f"{at}[{index}]"
        for kind, text in _GONE.items():
            if volume.get(kind) is not None:
                yield f"{here}.{_SPELLED.get(kind, kind)}: {text}"
        template = (volume.get("ephemeral") or {}).get("volumeClaimTemplate")
        if template is not None:
            yield from of_claim(f"{here}.ephemeral.volumeClaimTemplate.spec", template.get("spec") or {})
    for volume in volumes:
        yield from _of_paths(volume)


class _File(NamedTuple):
    path: str
    source: str

    def __str__(self) -> str:
        return f'"{self.path}" ({self.source})' if self.source else f'"{self.path}"'


def _of_paths(volume: Obj) -> Iterator[str]:
    name = volume.get("name", "")
    for kind, word, named in (
        ("configMap", "ConfigMap", "name"),
        ("secret", "Secret", "secretName"),
        ("downwardAPI", "DownwardAPI", ""),
    ):
        if source := volume.get(kind):
            described = f'{word} "{source.get(named, "")}"' if named else word
            yield from _overlaps(name, described, _items(source, ""))
    if projected := volume.get("projected"):
        files: list[_File] = []
        for source in projected.get("sources") or ():
            if not any(value is not None for value in source.values()):
                yield f'volume "{name}" (Projected) has no sources provided'
            files += _projected(source)
        yield from _overlaps(name, "Projected", files)


def _projected(source: Obj) -> list[_File]:
    for kind, word in (("configMap", "ConfigMap"), ("secret", "Secret")):
        if part := source.get(kind):
            return _items(part, f'{word} "{part.get("name", "")}"')
    if part := source.get("downwardAPI"):
        return _items(part, "DownwardAPI")
    if part := source.get("serviceAccountToken"):
        return [_File(part.get("path", ""), "ServiceAccountToken")]
    if part := source.get("clusterTrustBundle"):
        name = part.get("name") or part.get("signerName") or ""
        return [_File(part.get("path", ""), f'ClusterTrustBundle "{name}"')]
    certificate = source.get("podCertificate") or {}
    return [
        _File(certificate[field], f"PodCertificate {word}")
        for field, word in (
            ("certificateChainPath", "chain"),
            ("keyPath", "key"),
            ("credentialBundlePath", "credential bundle"),
        )
        if certificate.get(field)
    ]


def _items(source: Obj, described: str) -> list[_File]:
    return [_File(item.get("path", ""), described) for item in source.get("items") or ()]


def _overlaps(volume: str, described: str, files: Sequence[_File]) -> Iterator[str]:
    """Files that have one path, or of which one is another's directory."""
    before: list[_File] = []
    for each in files:
        file = _File(each.path.rstrip("/"), each.source)
        inside = f"{file.path}/"
        for other in before:
            theirs = f"{other.path}/"
            if file.path and other.path and (theirs.startswith(inside) or inside.startswith(theirs)):
                yield f'volume "{volume}" ({described}): overlapping paths: {file} with {other}'
        before.append(file)
