"""A mount whose files belong to others: to those who are mapped to their owners in a user namespace.

What such a container's root writes is root's on disk, and what root owns there is its own.

Sources: open_tree(2), mount_setattr(2), move_mount(2); "Idmappings" in the kernel's documentation of file
systems.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from wellhead.linux import mounts
from wellhead.linux.syscalls import checked, libc

# Their numbers on every architecture.
_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442
_AT_FDCWD = -100
_AT_EMPTY_PATH, _AT_RECURSIVE = 0x1000, 0x8000
_OPEN_TREE_CLONE = 1
_MOVE_MOUNT_F_EMPTY_PATH = 4
_MOUNT_ATTR_IDMAP = 0x100000


class _Attributes(ctypes.Structure):
    _fields_ = (
        ("set", ctypes.c_uint64),
        ("clear", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("users", ctypes.c_uint64),
    )


def mount(source: str | Path, target: str | Path, users: Path) -> None:
    """Mount `source` at `target` as the user namespace at `users` maps its owners.

    What is mounted below it is there, too, with its owners as they are.

    Raises:
        OSError: EINVAL if the file system can't be shown so (or the kernel is too old).
    """
    flags = _OPEN_TREE_CLONE | os.O_CLOEXEC | _AT_RECURSIVE
    encoded = os.fsencode(source)
    tree = checked(libc.syscall(_OPEN_TREE, _AT_FDCWD, encoded, flags), "open_tree", str(source))
    try:
        namespace = os.open(users, os.O_RDONLY | os.O_CLOEXEC)
        try:
            wanted = _Attributes(set=_MOUNT_ATTR_IDMAP, users=namespace)
            size = ctypes.sizeof(wanted)
            done = libc.syscall(_MOUNT_SETATTR, tree, b"", _AT_EMPTY_PATH, ctypes.byref(wanted), size)
            checked(done, "mount_setattr", str(source))
        finally:
            os.close(namespace)
        place = os.fsencode(target)
        moved = libc.syscall(_MOVE_MOUNT, tree, b"", _AT_FDCWD, place, _MOVE_MOUNT_F_EMPTY_PATH)
        checked(moved, "move_mount", str(target))
    finally:
        os.close(tree)


def make_place(source: str | Path, place: Path) -> None:
    """Make a directory or a file, whichever `source` is, to mount it at. Raises OSError."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if os.path.isdir(source):
        place.mkdir()
    else:
        place.touch(exist_ok=False)


def umount(place: Path) -> None:
    """Let go of it, also while it is in use. Raises OSError."""
    mounts.umount(place, mounts.MNT_DETACH | mounts.UMOUNT_NOFOLLOW)
