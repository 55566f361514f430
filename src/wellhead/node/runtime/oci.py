"""What a container is, and the OCI runtime configuration that says so.

Source: the OCI runtime-spec 1.0 (config.md, config-linux.md); containerd's defaults (oci/spec.go and
pkg/cap of v1.7) where Kubernetes leaves a choice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wellhead.linux.namespaces import IDS
from wellhead.node.runtime.cgroups import Limits, Pod

# containerd's, but for CAP_MKNOD: nothing here filters devices as its device cgroup does, so a node that a
# container makes for the host's disk would lead to the host's disk.
DEFAULT_CAPABILITIES = (
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
)
_MASKED = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
)
_CGROUPS = "/sys/fs/cgroup"
_READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")


@dataclass(frozen=True)
class Mount:
    """A file or directory of the node, shown in a container at `target`.

    `read_only` holds for what is mounted below it as well if `recursively`.
    """

    source: Path
    target: str
    read_only: bool = False
    recursively: bool = False
    propagation: str = "rprivate"
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class User:
    """Who a container's process is."""

    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()
    home: str = "/"
    """HOME, unless the container's own environment says another; crun knows none of a user without a name."""


@dataclass(frozen=True)
class Container:
    """All that the runtime needs to know to run a container.

    `bundle` is the container's own directory, `rootfs` the image's, which is only read. `namespaces` maps
    OCI names (network, ipc, uts, pid, user) to the file to join, or to None for the node's own; kinds that
    are not mentioned are new, but for users, who are then the node's. `first_id` is the user and group of the
    node that is root in a user namespace. `volumes` are directories that the image wants to write to; they
    are made where they are missing, as `cwd` is.
    """

    id: str
    bundle: Path
    rootfs: Path
    log: Path
    args: tuple[str, ...]
    env: tuple[str, ...] = ()
    cwd: str = "/"
    user: User = User()
    terminal: bool = False
    stdin: bool = False
    stdin_once: bool = False
    mounts: tuple[Mount, ...] = ()
    volumes: tuple[str, ...] = ()
    namespaces: Mapping[str, Path | None] = field(default_factory=dict)
    first_id: int = 0
    capabilities: tuple[str, ...] = DEFAULT_CAPABILITIES
    privileged: bool = False
    unmasked: bool = False
    """Whether all of /proc is there, and may be written to as far as the kernel lets it."""
    read_only_rootfs: bool = False
    no_new_privileges: bool = False
    sysctls: Mapping[str, str] = field(default_factory=dict)
    seccomp: Mapping[str, Any] | None = None
    oom_score: int | None = None
    limits: Limits | None = None
    pod: Pod | None = None
    """What its pod has as a whole, if that asks for something."""
    cgroups: Mapping[str, Path] = field(default_factory=dict)
    """Its own, as `Cgroups.make` has made them."""


def config(container: Container) -> dict[str, Any]:
    """The content of the bundle's config.json. The root file system is mounted at BUNDLE/rootfs."""
    namespaces: list[dict[str, str]] = [{"type": "mount"}]
    for kind in ("pid", "network", "ipc", "uts"):
        path = container.namespaces.get(kind, Path())
        if path is None:
            continue
        namespaces.append({"type": kind} if path == Path() else {"type": kind, "path": str(path)})
    linux: dict[str, Any] = {"namespaces": namespaces}
    if users := container.namespaces.get("user"):
        namespaces.append({"type": "user", "path": str(users)})
        mapping = [{"containerID": 0, "hostID": container.first_id, "size": IDS}]
        linux |= {"uidMappings": mapping, "gidMappings": mapping}
    if container.seccomp is not None:
        linux["seccomp"] = dict(container.seccomp)
    if container.sysctls:
        linux["sysctl"] = dict(container.sysctls)
    if not (container.privileged or container.unmasked):
        linux |= {"maskedPaths": list(_MASKED), "readonlyPaths": list(_READ_ONLY)}
    return {
        "ociVersion": "1.0.0",
        "process": _process(container),
        "root": {"path": "rootfs", "readonly": container.read_only_rootfs},
        "mounts": [*_system_mounts(container), *(_bind(mount, container) for mount in container.mounts)],
        "linux": linux,
    }


def _process(container: Container) -> dict[str, Any]:
    user: dict[str, Any] = {"uid": container.user.uid, "gid": container.user.gid}
    if container.user.groups:
        user["additionalGids"] = list(container.user.groups)
    # Neither inheritable nor ambient, so that what another user than root executes has none (CVE-2022-24769).
    capabilities = list(container.capabilities)
    # No rlimits: raising one needs CAP_SYS_RESOURCE, which a wellhead machine may lack.
    score = {} if container.oom_score is None else {"oomScoreAdj": container.oom_score}
    return {
        **score,
        "terminal": container.terminal,
        "user": user,
        "args": list(container.args),
        "env": _environment(container),
        "cwd": container.cwd,
        "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), capabilities),
        "noNewPrivileges": container.no_new_privileges,
    }


def _environment(container: Container) -> list[str]:
    said = any(each.startswith("HOME=") for each in container.env)
    return list(container.env) if said else [*container.env, f"HOME={container.user.home}"]


def _system_mounts(container: Container) -> list[dict[str, Any]]:
    safe = ["nosuid", "noexec", "nodev"]
    sys_options = [*safe, "rw" if container.privileged else "ro"]
    sysfs = {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": sys_options}
    return [
        {"destination": "/proc", "type": "proc", "source": "proc", "options": safe},
        {
            "destination": "/dev",
            "type": "tmpfs",
            "source": "tmpfs",
            "options": ["nosuid", "strictatime", "mode=755", "size=65536k"],
        },
        {
            "destination": "/dev/pts",
            "type": "devpts",
            "source": "devpts",
            "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        },
        {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": safe},
        sysfs,
        *_cgroup_mounts(container, safe),
    ]


def _cgroup_mounts(container: Container, safe: list[str]) -> list[dict[str, Any]]:
    """What the container sees of its own limits."""
    if not container.cgroups:
        return []
    found: list[dict[str, Any]] = []
    if "" not in container.cgroups:
        options = [*safe, "mode=755", "size=64k"]
        found.append({"destination": _CGROUPS, "type": "tmpfs", "source": "tmpfs", "options": options})
    for controller, path in container.cgroups.items():
        place = f"{_CGROUPS}/{controller}".rstrip("/")
        found.append(
            {"destination": place, "type": "bind", "source": str(path), "options": ["rbind", "ro", *safe]}
        )
    return found


def _bind(mount: Mount, container: Container) -> dict[str, Any]:
    # The host's devices are in reach of a hostPath as well. crun takes `rnodev`, `rro` for directories only.
    r = "r" if mount.source.is_dir() else ""
    access = ["ro", *(["rro"] if r and mount.recursively else [])] if mount.read_only else ["rw"]
    nodev = f"{r}nodev"
    devices = () if container.privileged else (nodev,)
    return {
        "destination": mount.target,
        "type": "bind",
        "source": str(mount.source),
        "options": ["rbind", mount.propagation, *access, *devices, *mount.options],
    }
