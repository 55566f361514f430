"""What a pod says of the operating system that it is for, and what it may then say of security.

Upstream: validateLinux, validateWindows and what they call, in pkg/apis/core/validation/validation.go.
No node here runs Windows; such pods are kept as they are, and wait for one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from wellhead.api.errors import Cause
from wellhead.api.formats import dns_subdomain
from wellhead.api.meta import Obj

_LISTS = ("initContainers", "containers", "ephemeralContainers")
_NOT_ON_WINDOWS = "cannot be set for a windows pod"
_OF_LINUX_PODS = (
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "fsGroup",
    "fsGroupChangePolicy",
    "sysctls",
    "runAsUser",
    "runAsGroup",
    "supplementalGroups",
    "supplementalGroupsPolicy",
    "seLinuxChangePolicy",
)
_OF_LINUX_CONTAINERS = (
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "capabilities",
    "readOnlyRootFilesystem",
    "privileged",
    "allowPrivilegeEscalation",
    "procMount",
    "runAsUser",
    "runAsGroup",
)
_MAX_CREDENTIALS = 64  # KiB
_MAX_DOMAIN, _MAX_USER = 256, 104
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NETBIOS = re.compile(r'[^\\/:*?"<>|.][^\\/:*?"<>|]{0,14}')
_DOMAIN = re.compile(
    r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*"
)
_BAD_USER = re.compile(r'["/\\:;|=,+*?<>@\[\]]')
_NO_USER = re.compile(r"[. ]+")


def validate_system(spec: Obj, at: str) -> Iterator[Cause]:
    """A pod's spec, as to `os` and the options that are Windows'."""
    system = (spec.get("os") or {}).get("name")
    contexts = [(f"{at}.securityContext", spec.get("securityContext") or {})]
    for field in _LISTS:
        for index, container in enumerate(spec.get(field) or ()):
            here = f"{at}.{field}[{index}].securityContext"
            contexts.append((here, container.get("securityContext") or {}))
    for here, context in contexts:
        if (options := context.get("windowsOptions")) is not None:
            yield from _validate_options(options, f"{here}.windowsOptions")
            if system == "linux":
                text = "windows options cannot be set for a linux pod"
                yield Cause.forbidden(f"{here}.windowsOptions", text)
    if system == "windows":
        for field in ("hostUsers", "hostPID", "hostIPC", "shareProcessNamespace"):
            if spec.get(field) or (field in ("hostUsers", "shareProcessNamespace") and field in spec):
                yield Cause.forbidden(f"{at}.{field}", _NOT_ON_WINDOWS)
        for number, (here, context) in enumerate(contexts):
            for field in _OF_LINUX_CONTAINERS if number else _OF_LINUX_PODS:
                if context.get(field) is not None:
                    yield Cause.forbidden(f"{here}.{field}", _NOT_ON_WINDOWS)
    yield from _validate_host_process(spec, contexts, at)


def _validate_options(options: Obj, at: str) -> Iterator[Cause]:
    name, credentials = options.get("gmsaCredentialSpecName"), options.get("gmsaCredentialSpec")
    if name is not None:
        for problem in dns_subdomain(name):
            yield Cause.invalid(f"{at}.gmsaCredentialSpecName", name, problem)
    if credentials is not None:
        here = f"{at}.gmsaCredentialSpec"
        if not credentials:
            yield Cause.invalid(here, credentials, "gmsaCredentialSpec cannot be an empty string")
        elif len(credentials.encode()) > _MAX_CREDENTIALS * 1024:
            text = f"gmsaCredentialSpec size must be under {_MAX_CREDENTIALS} KiB"
            yield Cause.invalid(here, credentials, text)
    if (user := options.get("runAsUserName")) is not None:
        for problem in _user_problems(user):
            yield Cause.invalid(f"{at}.runAsUserName", user, f"runAsUserName{problem}")


def _user_problems(text: str) -> Iterator[str]:
    """Of `DOMAIN\\user`, or of `user`."""
    if not text:
        yield " cannot be an empty string"
        return
    if _CONTROL.search(text):
        yield " cannot contain control characters"
        return
    if text.count("\\") > 1:
        yield " cannot contain more than one backslash"
        return
    domain, backslash, user = text.rpartition("\\")
    if len(domain) >= _MAX_DOMAIN:
        yield f"'s Domain length must be under {_MAX_DOMAIN} characters"
    if backslash and not _NETBIOS.fullmatch(domain) and not _DOMAIN.fullmatch(domain):
        yield "'s Domain doesn't match the NetBios nor the DNS format"
    if not user:
        yield "'s User cannot be empty"
    elif len(user) > _MAX_USER:
        yield f"'s User length must not be longer than {_MAX_USER} characters"
    if _NO_USER.fullmatch(user):
        yield "'s User cannot contain only periods or spaces"
    if _BAD_USER.search(user):
        yield "'s User cannot contain the following characters: \"/\\:;|=,+*?<>@[]"


def _validate_host_process(spec: Obj, contexts: list[tuple[str, Obj]], at: str) -> Iterator[Cause]:
    whole, *own = ((here, (each.get("windowsOptions") or {}).get("hostProcess")) for here, each in contexts)
    for here, value in own:
        if None not in (value, whole[1]) and value != whole[1]:
            said = "true" if whole[1] else "false"
            text = f"pod hostProcess value must be identical if both are specified, was {said}"
            yield Cause.invalid(f"{here}.windowsOptions.hostProcess", value, text)
    on_host = sum(bool(whole[1] if value is None else value) for _, value in own)
    if not on_host:
        return
    if on_host != len(own):
        text = "If pod contains any hostProcess containers then all containers must be HostProcess containers"
        yield Cause.invalid(at, "", text)
    if not spec.get("hostNetwork"):
        text = "hostNetwork must be true if pod contains any hostProcess containers"
        yield Cause.invalid(f"{at}.hostNetwork", False, text)
