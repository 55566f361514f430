"""How much of the disk a tree takes, and a pod.

The kernel gives no notice of that, so trees are walked (project quotas, which few file systems have switched
on, aren't used). Walks are bounded by their caller: only where there is a limit, no further than to it, and
seldom if they take long.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from wellhead.node.eviction.local_storage import Usage
from wellhead.node.pods.state import PodState

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_DEEPEST = 1000
_Opened = tuple[int, "os._ScandirIterator[str]"]
_ON_DISK = ("emptyDir", "configMap", "secret", "projected", "downwardAPI")


@dataclass(frozen=True)
class Size:
    """Bytes on the disk, and files of any kind."""

    bytes: int = 0
    inodes: int = 0

    def __add__(self, other: Size) -> Size:
        return Size(self.bytes + other.bytes, self.inodes + other.inodes)


def size(top: Path, enough: int | None = None) -> Size:
    """Of a tree, as du(1) counts: blocks, each file once, one file system. Blocks for as long as that takes.

    Ends when there is more than `enough` bytes. What is gone meanwhile counts for nothing. Links are not
    followed, also when somebody puts one in the place of a directory.
    """
    blocks, seen = 0, set[int]()
    with closing(_walk(top)) as found:
        for info in found:
            if info.st_ino in seen:
                continue
            seen.add(info.st_ino)
            blocks += info.st_blocks
            if enough is not None and blocks * 512 > enough:
                break
    return Size(blocks * 512, len(seen))


def _walk(top: Path) -> Generator[os.stat_result]:
    """Depth first, with one open directory a level: paths can be longer than the kernel takes."""
    opened: list[_Opened] = []
    try:
        with suppress(OSError):
            opened.append(_open(str(top), None))
            info = os.fstat(opened[0][0])
            device = info.st_dev
            yield info
        while opened:
            fd, entries = opened[-1]
            entry = next(entries, None)
            if entry is None:
                _close(opened.pop())
                continue
            with suppress(OSError):
                info = entry.stat(follow_symlinks=False)
                if info.st_dev != device:
                    continue
                yield info
                if entry.is_dir(follow_symlinks=False) and len(opened) < _DEEPEST:
                    opened.append(_open(entry.name, fd))
    finally:
        for each in opened:
            _close(each)


def _close(opened: _Opened) -> None:
    opened[1].close()
    os.close(opened[0])


def _open(name: str, below: int | None) -> _Opened:
    fd = os.open(name, _DIRECTORY, dir_fd=below)
    try:
        return fd, os.scandir(fd)
    except OSError:
        os.close(fd)
        raise


def used(state: PodState, enough: int | None = None) -> Usage:
    """What a pod takes; of each of its parts no more than a little over `enough`. Blocks, as `size`."""
    containers, volumes, inodes = dict[str, int](), dict[str, int](), 0
    for name, record in list(state.record.containers.items()):
        logs = size(state.log(name, 0).parent, enough)
        if record.current is not None:
            logs += size(state.bundle(name, record.current.number) / "upper", enough)
        containers[name] = logs.bytes
        inodes += logs.inodes
    for volume in state.pod["spec"].get("volumes") or ():
        if not any(kind in volume for kind in _ON_DISK):
            continue
        place = state.volumes.path(volume)
        if place.is_mount():  # in memory, which is counted there
            continue
        taken = size(place, enough)
        volumes[str(volume["name"])] = taken.bytes
        inodes += taken.inodes
    return Usage(containers, volumes, inodes)
