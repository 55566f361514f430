"""The machine that the agent runs on: which run of it this is, and what of it containers must not get.

What was started before a reboot is gone, whatever files say.
"""

from __future__ import annotations

import os
from pathlib import Path

from wellhead.linux import files, mounts, namespaces, proc, sysctls, trees

_FILE = "machine"


def boot() -> str:
    """Names this run of the kernel."""
    return sysctls.path("kernel/random/boot_id").read_text().strip()


def identity() -> str:
    """Names the running machine: its kernel's boot, its pid namespace, and when its PID 1 began."""
    pid_namespace = namespaces.identity("/proc/self/ns/pid")
    return f"{boot()} {pid_namespace} {proc.statistics(1)[19]}"  # the 22nd of all fields: starttime


def keep_null() -> None:
    """Let nobody become the owner of this machine's /dev/null, which everybody needs. Raises OSError.

    crun gives a container's user what its standard input is, and for most that is the machine's /dev/null. On
    a read-only mount it can't, nor does it mind; a device can be written to all the same.
    """
    path = Path(os.devnull)
    if not os.statvfs(path).f_flag & os.ST_RDONLY:
        mounts.mount(path, path, flags=mounts.MS_BIND)
        mounts.mount("none", path, flags=mounts.MS_REMOUNT | mounts.MS_BIND | mounts.MS_RDONLY)


def volatile_directory(root: Path) -> Path:
    """ROOT/run, emptied if it is from before a reboot."""
    directory = root / "run"
    marker = directory / _FILE
    if directory.exists() and (not marker.exists() or marker.read_text() != identity()):
        trees.remove(directory)
    directory.mkdir(parents=True, exist_ok=True)
    # In one step: an empty marker would look like another machine's, whose containers are void.
    files.write_if_different(marker, identity().encode())
    return directory
