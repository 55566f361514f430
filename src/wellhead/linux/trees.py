"""Remove directories that programs of others had their hands in.

They may be deeper than a recursion goes, hold links to anything, and have things mounted in them: what is
mounted is somebody else's and must not be emptied, whatever happens to it meanwhile.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from wellhead.linux import mounts, paths

_RESOLVE = paths.BENEATH | paths.NO_SYMLINKS | paths.NO_XDEV


def remove(path: Path) -> None:
    """Unmount what is mounted at or below `path`, then delete it. Raises OSError as `delete` does."""
    mounts.umount_below(path)
    delete(path)


def delete(path: Path) -> None:
    """Delete a tree (or file, or link) where nothing is mounted any more; nothing if it isn't there.

    Links are deleted, never followed. What is mounted there nevertheless stops the removal.

    Raises:
        OSError: something could not be removed; the rest may be gone. EXDEV or EBUSY for a mount.
    """
    try:
        top = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    except NotADirectoryError:
        path.unlink(missing_ok=True)
        return
    try:
        _empty(top)
    finally:
        os.close(top)
    with contextlib.suppress(FileNotFoundError):
        path.rmdir()


def _empty(top: int) -> None:
    """Delete what is in a directory. Directories further down are moved up first, so depth costs nothing."""
    while names := os.listdir(top):
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # somebody else removes it as well
                try:
                    os.unlink(name, dir_fd=top)
                except IsADirectoryError:
                    _flatten(top, name)


def _flatten(top: int, name: str) -> None:
    below = paths.open_at(top, name, os.O_RDONLY | os.O_DIRECTORY, _RESOLVE)
    try:
        with os.scandir(below) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    os.rename(entry.name, os.urandom(8).hex(), src_dir_fd=below, dst_dir_fd=top)
                else:
                    os.unlink(entry.name, dir_fd=below)
    finally:
        os.close(below)
    os.rmdir(name, dir_fd=top)
