"""Files that several images have are on the disk once: DIR/.files/AB/HASH, linked into each root file system.

Images are only ever read, so a file's name may be one of many. It is the same file if its bytes, its owner,
mode, time and extended attributes are; the first names of a layer that two images share are just that.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path

from wellhead.images.store import ImageStore

_SMALLEST = 512  # bytes; a smaller file costs less than looking for it


def share(store: ImageStore, rootfs: Path, report: Callable[[int], None] = lambda done: None) -> None:
    """Replace files of a tree that nobody uses yet by links to equal ones. Raises OSError.

    `report` is told how many files were looked at.
    """
    pool = store.directory / ".files"
    pool.mkdir(mode=0o700, exist_ok=True)
    done = 0
    for directory, _, names in os.walk(rootfs):
        times = os.lstat(directory)
        changed = False
        for name in names:
            path = os.path.join(directory, name)
            info = os.lstat(path)
            if stat.S_ISREG(info.st_mode) and info.st_nlink == 1 and info.st_size >= _SMALLEST:
                changed |= _share(pool, path, info)
            done += 1
            if done % 256 == 0:
                report(done)
        if changed:  # the directory's own times are the image's
            os.utime(directory, ns=(times.st_atime_ns, times.st_mtime_ns))


def _share(pool: Path, path: str, info: os.stat_result) -> bool:
    """Whether the file has been replaced. One with as many names as the file system allows is left alone."""
    key = _key(path, info)
    shared = pool / key[:2] / key[2:]
    shared.parent.mkdir(mode=0o700, exist_ok=True)
    temporary = shared.parent / f".{key[2:]}"
    temporary.unlink(missing_ok=True)
    try:
        os.link(path, shared, follow_symlinks=False)
        return False
    except FileExistsError:
        pass
    except PermissionError:  # a file system without links
        return False
    try:
        os.link(shared, temporary)
    except OSError:  # too many names
        return False
    os.rename(temporary, path)
    return True


def _key(path: str, info: os.stat_result) -> str:
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    digest.update(f"{info.st_mode} {info.st_uid} {info.st_gid} {info.st_mtime_ns}".encode())
    for name in sorted(os.listxattr(path, follow_symlinks=False)):
        value = os.getxattr(path, name, follow_symlinks=False)
        digest.update(f"\0{name}\0{len(value)}\0".encode(errors="surrogateescape") + value)
    return digest.hexdigest()
