"""Who a container's processes are and what they may do: securityContext of the pod and the container.

Which system calls they may make is in `seccomp`; a pod that wants AppArmor is refused (`admission`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from wellhead.api.meta import Obj
from wellhead.linux import paths
from wellhead.node.pods import spec
from wellhead.node.runtime.oci import DEFAULT_CAPABILITIES, User

_CAPABILITIES = (
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
)
"""In the order of their numbers (linux/capability.h)."""


_EVERY = frozenset(_CAPABILITIES)
_MAX_ID = 2**31 - 1
_MAX_ACCOUNTS = 10 << 20  # bytes of an image's passwd or group that are looked at
_ONLY_PRIVILEGED = frozenset({"CAP_MKNOD"})


class SecurityError(Exception):
    """The container can't run as its securityContext demands."""


def available(pod: Obj, of_agent: frozenset[str]) -> frozenset[str]:
    """What the pod's containers can have: with users of its own everything, since it ends at their files."""
    return _EVERY if spec.has_own_users(pod) else of_agent


def capabilities(context: Obj, available: frozenset[str]) -> tuple[str, ...]:
    """The container's capabilities.

    None that the agent itself lacks (`available`) can be given, nor CAP_MKNOD to one that isn't privileged:
    there is no device cgroup here that would keep it from the host's disks.
    """
    if context.get("privileged"):
        return tuple(sorted(available))
    add, drop = _asked(context, "add"), _asked(context, "drop")
    base = set() if "CAP_ALL" in drop else set(DEFAULT_CAPABILITIES)
    if "CAP_ALL" in add:
        base = set(available)
    return tuple(sorted(((base | add) - (drop - add) - _ONLY_PRIVILEGED) & available))


def not_given(context: Obj, available: frozenset[str]) -> tuple[str, ...]:
    """The capabilities that the container asks for by name and that `capabilities` doesn't give it."""
    return tuple(sorted(_asked(context, "add") - {"CAP_ALL"} - set(capabilities(context, available))))


def _asked(context: Obj, which: str) -> set[str]:
    return {_full(name) for name in (context.get("capabilities") or {}).get(which) or ()}


def _full(name: str) -> str:
    return name.upper() if name.upper().startswith("CAP_") else f"CAP_{name.upper()}"


def available_capabilities(status: Path = Path("/proc/self/status")) -> frozenset[str]:
    """What this process could give to others: its bounding set."""
    for line in status.read_text().splitlines():
        if line.startswith("CapBnd:"):
            mask = int(line.split()[1], 16)
            return frozenset(name for bit, name in enumerate(_CAPABILITIES) if mask >> bit & 1)
    return frozenset()


def user(pod: Obj, container: Obj, image_user: str, rootfs: Path) -> User:
    """Who the container's processes are.

    The container's securityContext wins over the pod's, that over the image's USER. Raises SecurityError if
    runAsNonRoot is set and it would be root, or the image names a user that it doesn't have.
    """
    of_pod, own = pod["spec"].get("securityContext") or {}, container.get("securityContext") or {}
    chosen = {**of_pod, **own}
    name, _, group_name = image_user.partition(":")
    account = _account(rootfs, name) if chosen.get("runAsUser") is None else None
    uid = int(chosen["runAsUser"]) if account is None else account.uid
    if account is None:
        account = _account(rootfs, str(uid), known=False)
    gid = account.gid
    if chosen.get("runAsGroup") is not None:
        gid = int(chosen["runAsGroup"])
    elif group_name and chosen.get("runAsUser") is None:
        gid = _group(rootfs, group_name)
    if chosen.get("runAsNonRoot") and (why := _breaks_non_root(chosen.get("runAsUser"), name, uid)):
        where = f'(pod: "{spec.described(pod)}", container: {container["name"]})'
        raise SecurityError(f"{why} {where}")
    of_image = () if of_pod.get("supplementalGroupsPolicy") == "Strict" else account.groups
    groups = {*of_image, *(of_pod.get("supplementalGroups") or ())}
    if of_pod.get("fsGroup") is not None:
        groups.add(of_pod["fsGroup"])
    return User(uid, gid, tuple(sorted(groups - {gid})), account.home)


def _breaks_non_root(asked: int | None, name: str, uid: int) -> str:
    """Why it may be root, as the kubelet words it; a name in an image's files proves nothing."""
    if asked is not None:
        return "" if uid else "container's runAsUser breaks non-root policy"
    if name and not name.isdecimal():
        user = f"image has non-numeric user ({name}), cannot verify user is non-root"
        return f"container has runAsNonRoot and {user}"
    return "" if uid else "container has runAsNonRoot and image will run as root"


def _account(rootfs: Path, name: str, *, known: bool = True) -> User:
    """Who a user name or number is, with supplementary groups and home, by the image's passwd and group."""
    if not name:
        name = "0"
    for line in _entries(rootfs, "etc/passwd", 2, 3):
        if name in (line[0], line[2]):
            groups = tuple(
                int(each[2])
                for each in _entries(rootfs, "etc/group", 2)
                if len(each) > 3 and line[0] in each[3].split(",")
            )
            home = line[5] if len(line) > 5 and "\0" not in line[5] else ""
            return User(int(line[2]), int(line[3]), groups, home or "/")
    if _is_id(name):
        return User(int(name))
    if not known:
        return User()
    raise SecurityError(f"the image has no user {name!r}")


def _group(rootfs: Path, name: str) -> int:
    for line in _entries(rootfs, "etc/group", 2):
        if name in (line[0], line[2]):
            return int(line[2])
    if _is_id(name):
        return int(name)
    raise SecurityError(f"the image has no group {name!r}")


def _entries(rootfs: Path, path: str, *numbers: int) -> Iterator[list[str]]:
    """The entries of a file of the image whose fields `numbers` are IDs.

    Others are passed over, not taken for root's. Links on the way lead nowhere but into the image.
    """
    try:
        with paths.directory(rootfs) as top:
            data = paths.read_file(top, path, _MAX_ACCOUNTS, paths.IN_ROOT)
    except OSError:
        return
    for line in data.decode(errors="replace").split("\n"):
        fields = line.split(":")
        if len(fields) > max(numbers) and all(_is_id(fields[number]) for number in numbers):
            yield fields


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdecimal() and int(text[:11]) <= _MAX_ID
