"""What a pod refers to, and thereby opens to the node that runs it.

Upstream: VisitPodSecretNames and VisitPodConfigmapNames in pkg/api/pod/util.go.
"""

from __future__ import annotations

from collections.abc import Iterator

from wellhead.api.meta import Obj

MIRROR_ANNOTATION = "kubernetes.io/config.mirror"

_CONTAINERS = ("initContainers", "containers", "ephemeralContainers")


def is_mirror(pod: Obj) -> bool:
    """Whether it shows a pod that its node got elsewhere than from the API."""
    return MIRROR_ANNOTATION in ((pod.get("metadata") or {}).get("annotations") or {})


def references(spec: Obj, name: str) -> set[tuple[str, str]]:
    """The ServiceAccount, ConfigMaps, Secrets and claims of a pod of this name, as (resource, name)."""
    account = ("serviceaccounts", spec.get("serviceAccountName") or "default")
    return {account, *configuration(spec), *_claims(spec, name)}


def _claims(spec: Obj, name: str) -> Iterator[tuple[str, str]]:
    for volume in spec.get("volumes") or ():
        if source := volume.get("persistentVolumeClaim"):
            yield "persistentvolumeclaims", source.get("claimName") or ""
        elif volume.get("ephemeral"):
            yield "persistentvolumeclaims", f"{name}-{volume.get('name')}"


def configuration(spec: Obj) -> Iterator[tuple[str, str]]:
    """The ConfigMaps and Secrets among them."""
    for volume in spec.get("volumes") or ():
        yield from _of_volume(volume)
    for reference in spec.get("imagePullSecrets") or ():
        yield "secrets", reference.get("name") or ""
    for container in (container for kind in _CONTAINERS for container in spec.get(kind) or ()):
        for variable in container.get("env") or ():
            yield from _named(variable.get("valueFrom") or {}, "configMapKeyRef", "secretKeyRef")
        for source in container.get("envFrom") or ():
            yield from _named(source, "configMapRef", "secretRef")


def token_audiences(spec: Obj) -> set[str]:
    """For whom the pod's volumes hold tokens of its ServiceAccount; "" is this API."""
    return {
        token.get("audience") or ""
        for volume in spec.get("volumes") or ()
        for source in (volume.get("projected") or {}).get("sources") or ()
        if (token := source.get("serviceAccountToken")) is not None
    }


def _of_volume(volume: Obj) -> Iterator[tuple[str, str]]:
    yield from _named(volume, "configMap", "")
    for source in (volume.get("projected") or {}).get("sources") or ():
        yield from _named(source, "configMap", "secret")
    # In `secret` and `azureFile` a name, in the drivers' own a reference.
    for source in (value for value in volume.values() if isinstance(value, dict)):
        if name := source.get("secretName"):
            yield "secrets", name
        yield from _named(source, "", "secretRef")
        yield from _named(source, "", "nodePublishSecretRef")


def _named(source: Obj, config_map: str, secret: str) -> Iterator[tuple[str, str]]:
    if reference := source.get(config_map):
        yield "configmaps", reference.get("name") or ""
    if reference := source.get(secret):
        yield "secrets", reference.get("name") or ""
