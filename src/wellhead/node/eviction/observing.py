"""What the node has left: read from the kernel in microseconds, whenever somebody looks."""

from __future__ import annotations

import os
from pathlib import Path

from wellhead.node.eviction.thresholds import (
    IMAGE_FS,
    IMAGE_INODES,
    MEMORY,
    NODE_FS,
    NODE_INODES,
    PIDS,
    Observation,
    Observations,
)

_PROC = Path("/proc")


def observe(root: Path, images: Path, proc: Path = _PROC) -> Observations:
    """By signal, of this machine. What can't be read, or has no bounds (inodes of btrfs), is left out."""
    found: dict[str, Observation] = {}
    memory = _meminfo(proc)
    if "MemAvailable" in memory and "MemTotal" in memory:
        found[MEMORY] = Observation(memory["MemAvailable"], memory["MemTotal"])
    for directory, space, inodes in ((root, NODE_FS, NODE_INODES), (images, IMAGE_FS, IMAGE_INODES)):
        try:
            stat = os.statvfs(directory)
        except OSError:
            continue
        found[space] = Observation(stat.f_bavail * stat.f_frsize, stat.f_blocks * stat.f_frsize)
        if stat.f_files:
            found[inodes] = Observation(stat.f_favail, stat.f_files)
    try:
        most = min(int((proc / "sys/kernel" / name).read_text()) for name in ("pid_max", "threads-max"))
        running = int((proc / "loadavg").read_text().split()[3].partition("/")[2])
    except (OSError, ValueError, IndexError):
        return found
    return found | {PIDS: Observation(max(most - running, 0), most)}


def _meminfo(proc: Path) -> dict[str, int]:
    """In bytes."""
    try:
        lines = (proc / "meminfo").read_text().splitlines()
    except OSError:
        return {}
    parts = (line.partition(":") for line in lines)
    return {name: int(rest.split()[0]) * 1024 for name, _, rest in parts if rest.split()[1:] == ["kB"]}
