"""Annotations of a pod that the server reads: what became fields since, and the cost of its deletion.

Upstream: ValidatePodSpecificAnnotations in pkg/apis/core/validation/validation.go,
applyAppArmorVersionSkew in pkg/registry/core/pod/strategy.go.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from wellhead.api.errors import Cause
from wellhead.api.formats import local_path
from wellhead.api.meta import Obj
from wellhead.api.names import DELETION_COST_ANNOTATION, SECCOMP_ANNOTATION
from wellhead.api.warnings.containers import APP_ARMOR as APP_ARMOR

_SECCOMP = "container.seccomp.security.alpha.kubernetes.io/"
_COST_FORM = re.compile("-?(0|[1-9][0-9]{0,9})", re.ASCII)
_LOCAL = "localhost/"
_PROFILES = ("runtime/default", "docker/default", "unconfined")
_CONTAINERS = ("initContainers", "containers", "ephemeralContainers")
_TYPES = {"runtime/default": "RuntimeDefault", "unconfined": "Unconfined"}


def validate_annotations(annotations: Obj, spec: Obj, at: str) -> Iterator[Cause]:
    """Of a pod or a template; `at` is their path."""
    if (cost := annotations.get(DELETION_COST_ANNOTATION)) is not None and not _is_cost(cost):
        yield Cause.invalid(f"{at}[{DELETION_COST_ANNOTATION}]", cost, "must be a 32bit integer")
    for name, value in annotations.items():
        if name == SECCOMP_ANNOTATION or name.startswith(_SECCOMP):
            yield from _validate_seccomp(value, f"{at}.{name}")
    names = {each.get("name") for kind in _CONTAINERS for each in spec.get(kind) or ()}
    for name, value in annotations.items():
        if not name.startswith(APP_ARMOR):
            continue
        container = name.removeprefix(APP_ARMOR)
        if container not in names:
            yield Cause.invalid(f"{at}[{name}]", container, "container not found")
        if value and value not in _TYPES and not value.startswith(_LOCAL):
            yield Cause.invalid(f"{at}[{name}]", value, f'invalid AppArmor profile name: "{value}"')


def _is_cost(text: str) -> bool:
    return bool(_COST_FORM.fullmatch(text)) and -(2**31) <= int(text) < 2**31


def _validate_seccomp(profile: str, at: str) -> Iterator[Cause]:
    if profile in _PROFILES:
        return
    if not profile.startswith(_LOCAL):
        yield Cause.invalid(at, profile, "must be a valid seccomp profile")
        return
    path = profile.removeprefix(_LOCAL)
    for problem in local_path(path):
        yield Cause.invalid(at, path, problem)


def apply_app_armor(pod: Obj) -> None:
    """In place: what an annotation says of a container becomes its field, unless the pod says the same."""
    spec, annotations = pod["spec"], pod["metadata"].get("annotations") or {}
    if (spec.get("os") or {}).get("name") == "windows":
        return
    of_pod = (spec.get("securityContext") or {}).get("appArmorProfile")
    for kind in _CONTAINERS:
        for container in spec.get(kind) or ():
            profile = _profile(annotations.get(f"{APP_ARMOR}{container.get('name')}", ""))
            has = (container.get("securityContext") or {}).get("appArmorProfile")
            if profile and has is None and profile != of_pod:
                container["securityContext"] = {
                    **(container.get("securityContext") or {}),
                    "appArmorProfile": profile,
                }


def _profile(annotation: str) -> Obj | None:
    if annotation in _TYPES:
        return {"type": _TYPES[annotation]}
    name = annotation.removeprefix(_LOCAL)
    return {"type": "Localhost", "localhostProfile": name} if name and name != annotation else None


def validate_agreement(pod: Obj) -> Iterator[Cause]:
    """That of a new pod an annotation and its field say the same."""
    spec, annotations = pod["spec"], pod["metadata"].get("annotations") or {}
    if (spec.get("os") or {}).get("name") == "windows":
        return
    of_pod = (spec.get("securityContext") or {}).get("appArmorProfile")
    for kind in _CONTAINERS:
        for index, container in enumerate(spec.get(kind) or ()):
            annotation = annotations.get(f"{APP_ARMOR}{container.get('name')}")
            profile = (container.get("securityContext") or {}).get("appArmorProfile") or of_pod
            if annotation is None or profile is None or profile == _profile(annotation):
                continue
            at = f"spec.{kind}[{index}].securityContext.appArmorProfile"
            local = profile.get("type") == "Localhost"
            if local and annotation.startswith(_LOCAL):
                text = "apparmor profile in annotation and field must match"
                yield Cause.forbidden(f"{at}.localhostProfile", text)
            elif local or profile.get("type") in _TYPES.values():
                yield Cause.forbidden(f"{at}.type", "apparmor type in annotation and field must match")
