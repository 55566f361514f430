"""What the node has left: read from the kernel in microseconds, whenever somebody looks."""

from __future__ import annotations

import os
from pathlib import Path

from wellhead.linux.proc import PROC, number
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
from wellhead.node.usage.reading import available_memory


def observe(root: Path, images: Path, proc: Path = PROC) -> Observations:
    """By signal, of this machine. What can't be read, or has no bounds (inodes of btrfs), is left out."""
    found: dict[str, Observation] = {}
    if total := number(proc / "meminfo", "MemTotal:"):
        found[MEMORY] = Observation(available_memory(proc), total * 1024)
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
