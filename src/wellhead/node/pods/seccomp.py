"""Which system calls a container may make: the profile that its securityContext names, for the runtime.

What `RuntimeDefault` is, is read from the file that Debian's packages of container tools bring. Its form is
older and says more than the runtime's own: what holds depends on the capabilities, the processor and the
kernel. Source: KEP-135; pkg/kubelet/kuberuntime/helpers.go of v1.36; seccomp.json(5) of containers-common.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from wellhead.api.meta import Obj
from wellhead.linux import paths
from wellhead.node.pods.security import SecurityError

Profile = Mapping[str, Any]
"""What a config.json says under `linux.seccomp`."""

DEFAULT = Path("/usr/share/containers/seccomp.json")
_MOST = 4 << 20  # bytes of a profile
_ARCHITECTURES = {"x86_64": ("SCMP_ARCH_X86_64", "amd64"), "aarch64": ("SCMP_ARCH_AARCH64", "arm64")}
_OF_A_CALL = ("names", "action", "errnoRet", "args")


class ProfileError(SecurityError):
    """The profile can't be had; the message says which and why."""


@dataclass(frozen=True)
class Machine:
    """What a profile's conditions are about: the kernel's version, and the processor's name by `uname -m`."""

    kernel: tuple[int, int]
    processor: str

    @classmethod
    def here(cls) -> Machine:
        """This one."""
        found = re.match(r"(\d+)\.(\d+)", platform.release())
        return cls((int(found[1]), int(found[2])) if found else (0, 0), platform.machine())


@dataclass(frozen=True)
class Profiles:
    """Where profiles are. `local` is the directory of those that pods name (Localhost).

    With `by_default`, who asks for none gets RuntimeDefault.
    """

    local: Path | None = None
    by_default: bool = False
    default: Path = DEFAULT

    def of(self, pod: Obj, container: Obj, capabilities: Collection[str]) -> Profile | None:
        """The container's profile; None: it isn't confined. Blocks. Raises ProfileError."""
        own: Obj = container.get("securityContext") or {}
        if own.get("privileged"):
            return None
        of_pod: Obj = pod["spec"].get("securityContext") or {}
        asked: Obj | None = own.get("seccompProfile") or of_pod.get("seccompProfile")
        kind = asked.get("type") if asked else "RuntimeDefault" if self.by_default else "Unconfined"
        if kind == "RuntimeDefault":
            return resolved(self._default(), capabilities, Machine.here())
        if kind == "Localhost":
            return resolved(self._local((asked or {}).get("localhostProfile")), capabilities, Machine.here())
        return None

    def _default(self) -> Obj:
        try:
            return _decoded(self.default.read_bytes())
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise ProfileError(
                f'cannot load seccomp profile RuntimeDefault from "{self.default}": {why}'
            ) from None

    def _local(self, name: str | None) -> Obj:
        if not name:
            raise ProfileError("localhostProfile must be set if seccompProfile type is Localhost.")
        if self.local is None:
            raise ProfileError(
                f'cannot load seccomp profile "{name}": this agent has no directory of profiles'
            )
        try:
            with paths.directory(self.local) as top:
                return _decoded(paths.read_file(top, name, _MOST, paths.BENEATH))
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise ProfileError(f'cannot load seccomp profile "{self.local / name}": {why}') from None


def _decoded(content: bytes) -> Obj:
    try:
        found = msgspec.json.decode(content, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise ValueError(f"it is no JSON object: {error}") from None
    if "defaultAction" not in found:
        raise ValueError("it has no defaultAction")
    return found


def resolved(document: Obj, capabilities: Collection[str], machine: Machine) -> Profile:
    """The profile of a document in either form, for a container with these capabilities on this machine."""
    native, short = _ARCHITECTURES.get(machine.processor, ("", machine.processor))
    found: dict[str, Any] = {"defaultAction": document["defaultAction"]}
    if (number := document.get("defaultErrnoRet")) is not None:
        found["defaultErrnoRet"] = number
    architectures = list(document.get("architectures") or ())
    for each in document.get("archMap") or ():
        if each.get("architecture") == native:
            architectures = [native, *(each.get("subArchitectures") or ())]
    if architectures:
        found["architectures"] = architectures
    for name in ("flags", "listenerPath", "listenerMetadata"):
        if document.get(name):
            found[name] = document[name]
    found["syscalls"] = list(_calls(document, capabilities, short, machine.kernel))
    return found


def _calls(
    document: Obj, capabilities: Collection[str], architecture: str, kernel: tuple[int, int]
) -> Iterator[dict[str, Any]]:
    for each in document.get("syscalls") or ():
        includes, excludes = each.get("includes") or {}, each.get("excludes") or {}
        least, before = _version(includes.get("minKernel")), _version(excludes.get("minKernel"))
        if (
            architecture in (excludes.get("arches") or ())
            or set(excludes.get("caps") or ()) & set(capabilities)
            or (before is not None and kernel >= before)
            or (includes.get("arches") and architecture not in includes["arches"])
            or not set(includes.get("caps") or ()) <= set(capabilities)
            or (least is not None and kernel < least)
        ):
            continue
        names = each.get("names") or ([each["name"]] if each.get("name") else [])
        call = {key: each[key] for key in _OF_A_CALL if each.get(key) is not None}
        if names:
            yield call | {"names": names}


def _version(text: object) -> tuple[int, int] | None:
    found = re.match(r"(\d+)\.(\d+)", str(text)) if text else None
    return (int(found[1]), int(found[2])) if found else None
