"""The checks of the level restricted: a pod has no more than it needs, and says so."""

from __future__ import annotations

from wellhead.api.meta import Obj
from wellhead.api.pod_security.baseline import proc_mount, seccomp, seccomp_type
from wellhead.api.pod_security.words import (
    Finding,
    Versioned,
    containers,
    context,
    plural,
    quoted,
    setters,
    those,
)

_VOLUMES = (
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
)
_OTHER_VOLUMES = (
    "hostPath",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "gitRepo",
    "nfs",
    "iscsi",
    "glusterfs",
    "rbd",
    "flexVolume",
    "cinder",
    "cephfs",
    "flocker",
    "fc",
    "azureFile",
    "vsphereVolume",
    "quobyte",
    "azureDisk",
    "photonPersistentDisk",
    "portworxVolume",
    "scaleIO",
    "storageos",
)


def _of_linux(spec: Obj) -> bool:
    """Windows has none of what these are about."""
    return bool((spec.get("os") or {}).get("name") != "windows")


def _escalation(metadata: Obj, spec: Obj) -> Finding | None:
    names = [
        each["name"]
        for each in containers(spec)
        if context(each).get("allowPrivilegeEscalation") is not False
    ]
    if not names:
        return None
    text = f"{those('container', names)} must set securityContext.allowPrivilegeEscalation=false"
    return Finding("allowPrivilegeEscalation != false", text)


def _escalation_on_linux(metadata: Obj, spec: Obj) -> Finding | None:
    return _escalation(metadata, spec) if _of_linux(spec) else None


def _capabilities(metadata: Obj, spec: Obj) -> Finding | None:
    keeping: list[str] = []
    adding: list[str] = []
    added: set[str] = set()
    for each in containers(spec):
        capabilities = context(each).get("capabilities") or {}
        if "ALL" not in (capabilities.get("drop") or ()):
            keeping.append(each["name"])
        if extra := set(capabilities.get("add") or ()) - {"NET_BIND_SERVICE"}:
            adding.append(each["name"])
            added |= extra
    details = []
    if keeping:
        text = 'must set securityContext.capabilities.drop=["ALL"]'
        details.append(f"{those('container', keeping)} {text}")
    if adding:
        text = f"must not include {quoted(sorted(added))} in securityContext.capabilities.add"
        details.append(f"{those('container', adding)} {text}")
    return Finding("unrestricted capabilities", "; ".join(details)) if details else None


def _capabilities_on_linux(metadata: Obj, spec: Obj) -> Finding | None:
    return _capabilities(metadata, spec) if _of_linux(spec) else None


def _volumes(metadata: Obj, spec: Obj) -> Finding | None:
    bad = [
        each for each in spec.get("volumes") or () if not any(each.get(kind) is not None for kind in _VOLUMES)
    ]
    if not bad:
        return None
    kinds = {next((kind for kind in _OTHER_VOLUMES if each.get(kind) is not None), "unknown") for each in bad}
    uses = "uses" if len(bad) == 1 else "use"
    what = f"{plural('restricted volume type', len(kinds))} {quoted(sorted(kinds))}"
    names = [each["name"] for each in bad]
    return Finding("restricted volume types", f"{those('volume', names)} {uses} {what}")


def _non_root(metadata: Obj, spec: Obj) -> Finding | None:
    of_pod = context(spec).get("runAsNonRoot")
    said = {each["name"]: context(each).get("runAsNonRoot") for each in containers(spec)}
    refusing = [name for name, value in said.items() if value is False]
    if of_pod is False or refusing:
        who = setters(of_pod is False, refusing)
        return Finding("runAsNonRoot != true", f"{who} must not set securityContext.runAsNonRoot=false")
    silent = [name for name, value in said.items() if value is None]
    if silent and not of_pod:
        text = f"pod or {those('container', silent)} must set securityContext.runAsNonRoot=true"
        return Finding("runAsNonRoot != true", text)
    return None


def _non_root_of_users(metadata: Obj, spec: Obj) -> Finding | None:
    return None if spec.get("hostUsers") is False else _non_root(metadata, spec)


def _user(metadata: Obj, spec: Obj) -> Finding | None:
    names = [each["name"] for each in containers(spec) if context(each).get("runAsUser") == 0]
    of_pod = context(spec).get("runAsUser") == 0
    if not of_pod and not names:
        return None
    return Finding("runAsUser=0", f"{setters(of_pod, names)} must not set runAsUser=0")


def _user_of_users(metadata: Obj, spec: Obj) -> Finding | None:
    return None if spec.get("hostUsers") is False else _user(metadata, spec)


def _seccomp(metadata: Obj, spec: Obj) -> Finding | None:
    if (found := seccomp(metadata, spec)) is not None:
        return found
    silent = [each["name"] for each in containers(spec) if seccomp_type(each) is None]
    if not silent or seccomp_type(spec) is not None:
        return None
    text = 'must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
    return Finding("seccompProfile", f"pod or {those('container', silent)} {text}")


def _seccomp_on_linux(metadata: Obj, spec: Obj) -> Finding | None:
    return _seccomp(metadata, spec) if _of_linux(spec) else None


CHECKS: Versioned = {
    "allowPrivilegeEscalation": ((8, _escalation), (25, _escalation_on_linux)),
    "capabilities_restricted": ((22, _capabilities), (25, _capabilities_on_linux)),
    "procMount_restricted": ((35, proc_mount),),
    "restrictedVolumes": ((0, _volumes),),
    "runAsNonRoot": ((0, _non_root), (35, _non_root_of_users)),
    "runAsUser": ((23, _user), (35, _user_of_users)),
    "seccompProfile_restricted": ((19, _seccomp), (25, _seccomp_on_linux)),
}
OVERRIDES = {
    "capabilities_restricted": "capabilities_baseline",
    "procMount_restricted": "procMount",
    "restrictedVolumes": "hostPathVolumes",
    "seccompProfile_restricted": "seccompProfile_baseline",
}
"""What takes the place of which check of the level below."""
