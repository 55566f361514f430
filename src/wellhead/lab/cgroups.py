"""The cgroups that nodes' agents make for containers: what they are called, and removing what is left."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from wellhead.linux import mounts


def cgroup_name(cluster: str, node: str) -> str:
    """The directory of a node's containers in each hierarchy. No cluster's name has a dot in it."""
    return f"wellhead.{cluster}.{node}"


def remove(cluster: str) -> None:
    """Remove those of a cluster whose processes are gone, from all hierarchies that are mounted here."""
    prefix = cgroup_name(cluster, "")
    for mount in mounts.mounts():
        if mount.fstype not in ("cgroup", "cgroup2"):
            continue
        for directory, names, _ in os.walk(mount.target):
            for name in names:
                if name.startswith(prefix):
                    _remove(Path(directory) / name)


def _remove(top: Path) -> None:
    for directory, names, _ in os.walk(top, topdown=False):
        for name in names:
            with contextlib.suppress(OSError):
                (Path(directory) / name).rmdir()
    with contextlib.suppress(OSError):
        top.rmdir()
