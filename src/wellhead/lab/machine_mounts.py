"""The mounts that a machine has of its own, beside what it shares with the host: made, judged, put back.

Most of them hide what is the host's, so one that somebody takes away is a hole. What images are made of is
seen by every machine, and can be written by none. Who may mount there (a privileged pod) gets around this;
that one is root on the host anyway.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from wellhead.lab import seclusion
from wellhead.lab.cluster import IMAGE_CACHE
from wellhead.lab.seclusion import Belongings
from wellhead.linux import mounts
from wellhead.linux.mounts import Mount

_HARMLESS = mounts.MS_NOSUID | mounts.MS_NODEV | mounts.MS_NOEXEC
_FLAGS = mounts.MS_RDONLY | _HARMLESS  # statvfs(3) has the same numbers for them


@dataclass(frozen=True)
class Own:
    """One of them: a file system of this type; or, without a type, what is there anyway, with these flags."""

    target: Path
    fstype: str
    flags: int
    data: str = ""


RUN = Path("/run")
PROC = Path("/proc")
OWN = (
    Own(PROC, "proc", _HARMLESS),
    Own(Path("/sys"), "sysfs", _HARMLESS),
    Own(Path("/sys/fs/cgroup"), "cgroup2", mounts.MS_NOSUID | mounts.MS_NODEV),
    # iptables' lock and crun's state are in /run: neither the host's nor another machine's business.
    Own(RUN, "tmpfs", mounts.MS_NOSUID | mounts.MS_NODEV, "mode=755"),
    Own(IMAGE_CACHE, "", mounts.MS_RDONLY),
    # Else a container's user would own it, and could close it to everybody: see `wellhead.node.machine`.
    Own(Path("/dev/null"), "", mounts.MS_RDONLY),
)

Device = int
"""The number of a file system, as stat(2) tells it."""
Devices = dict[Path, Device]


def make(own: Own) -> None:
    """Mount it, in the machine. Raises OSError."""
    if own.fstype:
        mounts.mount(own.fstype, own.target, own.fstype, own.flags, own.data)
        return
    if not own.target.exists():
        own.target.mkdir(parents=True, exist_ok=True)
    mounts.mount(own.target, own.target, flags=mounts.MS_BIND | mounts.MS_REC)
    mounts.mount("none", own.target, flags=mounts.MS_REMOUNT | mounts.MS_BIND | own.flags)


def wrong(pid: int, known: Mapping[Path, Device]) -> list[Path]:
    """Which of the mounts aren't as they were made, on the machine of this process.

    `known` are the file systems that were there before; without one, it is told from the host's.
    """
    return [own.target for own in OWN if not _is_right(own, Path(f"/proc/{pid}/root"), known)]


def _is_right(own: Own, root: Path, known: Mapping[Path, Device]) -> bool:
    found = _seen(root, own.target)
    if found is None:
        return False
    device, flags = found
    if own.fstype and own.flags != flags & _FLAGS:
        return False
    if not own.fstype:
        return bool(flags & own.flags) and device == _device(own.target)
    if own.target in known:
        return device == known[own.target]
    # A file system that has only one instance is the host's, too.
    return own.fstype == "cgroup2" or device != _device(own.target)


def devices(pid: int) -> Devices:
    """The file systems that are there now, on the machine of this process."""
    found = {own.target: _seen(Path(f"/proc/{pid}/root"), own.target) for own in OWN}
    return {target: each[0] for target, each in found.items() if each is not None}


def is_secluded(pid: int, belongings: Iterable[Belongings]) -> bool:
    """Whether the machine of this process sees of the clusters' files what it should, and no more."""
    root = Path(f"/proc/{pid}/root")
    for each in belongings:
        found = _seen(root, each.root)
        if found is None or found[0] == _device(each.root):
            return False
        for directory in each.directories:
            found = _seen(root, directory)
            if found is None or found[0] != _device(directory):
                return False
    return True


def put_back(
    targets: Iterable[Path],
    known: Mapping[Path, Device],
    there: Iterable[Mount],
    belongings: Iterable[Belongings],
) -> None:
    """Make these mounts of the machine that was joined right again, and seclude it.

    `there` is what was mounted, read from outside: its own /proc may be one of those. Raises OSError.
    """
    stacks: dict[str, list[Device]] = {}
    for mount in there:
        stacks.setdefault(mount.target, []).append(mount.device)
    for own in OWN:
        if own.target in targets:
            _put_back(own, known.get(own.target), stacks.get(str(own.target), []))
    for each in belongings:
        seclusion.seclude(each, {})


def _put_back(own: Own, device: Device | None, there: list[Device]) -> None:
    if own.fstype and device not in there:
        make(own)
        return
    while there and there[-1] != device:  # somebody's, above ours
        mounts.umount(own.target, mounts.MNT_DETACH)
        there.pop()
    if there:
        mounts.mount("none", own.target, flags=mounts.MS_REMOUNT | mounts.MS_BIND | own.flags)
    else:
        make(own)


def _seen(root: Path, target: Path) -> tuple[Device, int] | None:
    """The file system at a path, and its mount's flags; below a root that may be another namespace's."""
    try:
        fd = os.open(root / target.relative_to("/"), os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return os.fstat(fd).st_dev, os.fstatvfs(fd).f_flag
    finally:
        os.close(fd)


def _device(path: Path) -> Device | None:
    try:
        return path.stat().st_dev
    except OSError:
        return None
