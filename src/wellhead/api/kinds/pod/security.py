"""Security contexts, of pods and of containers.

Upstream: validatePodSpecSecurityContext, ValidateSecurityContext and what they call, in
pkg/apis/core/validation/validation.go. Windows' options are beside the point here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from wellhead.api.errors import Cause, one_of
from wellhead.api.formats import no_backsteps
from wellhead.api.kinds.pod.volumes import validate_ids
from wellhead.api.meta import Obj

_PROFILES = ("Localhost", "RuntimeDefault", "Unconfined")
_GROUP_CHANGES = ("Always", "OnRootMismatch")
_GROUP_POLICIES = ("Merge", "Strict")
_LABEL_CHANGES = ("MountOption", "Recursive")
_SYSCTL = r"^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$"
_MAX_SYSCTL = 253
_MAX_PROFILE = 4095
_BOTH = "cannot set `allowPrivilegeEscalation` to false and "


def validate_pod_security(spec: Obj, at: str) -> Iterator[Cause]:
    """A pod spec's securityContext, and the namespaces that it shares with its node."""
    context, here = spec.get("securityContext") or {}, f"{at}.securityContext"
    yield from validate_ids(context, here, "fsGroup", "runAsUser", "runAsGroup", "supplementalGroups")
    if spec.get("shareProcessNamespace") and spec.get("hostPID"):
        text = "ShareProcessNamespace and HostPID cannot both be enabled"
        yield Cause.invalid(f"{here}.shareProcessNamespace", True, text)
    yield from _validate_sysctls(spec, context, f"{here}.sysctls")
    for field, supported in (
        ("fsGroupChangePolicy", _GROUP_CHANGES),
        ("supplementalGroupsPolicy", _GROUP_POLICIES),
        ("seLinuxChangePolicy", _LABEL_CHANGES),
    ):
        if (policy := context.get(field)) is not None:
            yield from one_of(f"{here}.{field}", policy, supported)
    yield from _validate_profiles(context, here)
    if spec.get("hostUsers") is False:
        for field, named in (("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC")):
            if spec.get(field):
                yield Cause.forbidden(f"{at}.{named}", "when `hostUsers` is false")


def validate_container_security(context: Obj, at: str, *, host_users: bool) -> Iterator[Cause]:
    """A container's securityContext. `host_users`: whether its pod has the node's users."""
    yield from validate_ids(context, at, "runAsUser", "runAsGroup")
    mount = context.get("procMount")
    if mount is not None:
        yield from one_of(f"{at}.procMount", mount, ("Default", "Unmasked"))
        if host_users and mount == "Unmasked":
            yield Cause.invalid(f"{at}.procMount", mount, "`hostUsers` must be false to use `Unmasked`")
    if context.get("allowPrivilegeEscalation") is False:
        if context.get("privileged"):
            yield Cause.invalid(at, context, f"{_BOTH}`privileged` to true")
        if "CAP_SYS_ADMIN" in ((context.get("capabilities") or {}).get("add") or ()):
            yield Cause.invalid(at, context, f"{_BOTH}`capabilities.Add` CAP_SYS_ADMIN")
    yield from _validate_profiles(context, at)


def _validate_profiles(context: Obj, at: str) -> Iterator[Cause]:
    if (seccomp := context.get("seccompProfile")) is not None:
        here = f"{at}.seccompProfile"
        yield from _validate_type(seccomp, here, "seccompProfile")
        path = seccomp.get("localhostProfile")
        if seccomp.get("type") == "Localhost":
            if path is None:
                text = "must be set when seccomp type is Localhost"
                yield Cause.required(f"{here}.localhostProfile", text)
            else:
                problems = ["must be a relative path"] if path.startswith("/") else []
                for problem in problems + no_backsteps(path):
                    yield Cause.invalid(f"{here}.localhostProfile", path, problem)
        elif path is not None:
            text = "can only be set when seccomp type is Localhost"
            yield Cause.invalid(f"{here}.localhostProfile", seccomp, text)
    if (apparmor := context.get("appArmorProfile")) is not None:
        yield from _validate_apparmor(apparmor, f"{at}.appArmorProfile")


def _validate_apparmor(profile: Obj, at: str) -> Iterator[Cause]:
    yield from _validate_type(profile, at, "appArmorProfile")
    name, here = profile.get("localhostProfile"), f"{at}.localhostProfile"
    if profile.get("type") == "Localhost":
        if name is None or not name.strip():
            yield Cause.required(here, "must be set when AppArmor type is Localhost")
        elif name != name.strip():
            yield Cause.invalid(here, name, "must not be padded with whitespace")
        if len(name or "") > _MAX_PROFILE:
            yield Cause.too_long(here, _MAX_PROFILE)
    elif name is not None:
        yield Cause.invalid(here, name, "can only be set when AppArmor type is Localhost")


def _validate_type(profile: Obj, at: str, field: str) -> Iterator[Cause]:
    if not (kind := profile.get("type") or ""):
        yield Cause.required(f"{at}.type", f"type is required when {field} is set")
    else:
        yield from one_of(f"{at}.type", kind, _PROFILES)


def _validate_sysctls(spec: Obj, context: Obj, at: str) -> Iterator[Cause]:
    names: set[str] = set()
    for index, sysctl in enumerate(context.get("sysctls") or ()):
        name, here = sysctl.get("name") or "", f"{at}[{index}].name"
        if not name:
            yield Cause.required(here)
        elif len(name) > _MAX_SYSCTL or not re.fullmatch(_SYSCTL, name, re.ASCII):
            text = f"must have at most {_MAX_SYSCTL} characters and match regex {_SYSCTL}"
            yield Cause.invalid(here, name, text)
        elif name in names:
            yield Cause.duplicate(here, name)
        names.add(name)
        plain = name.replace("/", ".")
        if spec.get("hostNetwork") and plain.startswith("net."):
            yield Cause.invalid(here, name, "may not be specified when 'hostNetwork' is true")
        if spec.get("hostIPC") and plain.startswith(("kernel.shm", "kernel.msg", "kernel.sem", "fs.mqueue.")):
            yield Cause.invalid(here, name, "may not be specified when 'hostIPC' is true")
