"""Paths that others wrote, below a directory of ours: opened so that they can't lead out of it.

A check of the path's text isn't enough, since what lies there (links, mounts) may change between the check
and the use (CVE-2021-25741). So the kernel resolves it, by openat2(2), and everything after that goes by the
descriptor that it gave.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from wellhead.linux.syscalls import checked, libc

NO_XDEV = 0x01
NO_MAGICLINKS = 0x02
NO_SYMLINKS = 0x04
BENEATH = 0x08
IN_ROOT = 0x10
"""openat2(2)'s RESOLVE_ flags."""

_OPENAT2 = 437  # the number on every architecture
_TRIES = 32  # the kernel gives up (EAGAIN) when something is renamed while it resolves a `..`


class _How(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


@contextmanager
def directory(path: Path, *, links: bool = False) -> Iterator[int]:
    """A descriptor of a directory, to begin at. `links`: it may be a symbolic link to one. Raises OSError."""
    fd = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC | (0 if links else os.O_NOFOLLOW))
    try:
        yield fd
    finally:
        os.close(fd)


def open_at(top: int, path: str, flags: int, resolve: int, mode: int = 0) -> int:
    """openat2(2): `path`, seen from the directory `top`, under the limits of `resolve`.

    Raises:
        OSError: EXDEV if it would lead out (BENEATH) or to another mount (NO_XDEV), ELOOP for a link that
            isn't allowed, and whatever open(2) says.
        ValueError: the path has a NUL.
    """
    if "\0" in path:
        raise ValueError("a path has no NUL character")
    how = _How(flags | os.O_CLOEXEC, mode, resolve)
    for attempt in range(_TRIES):
        try:
            return checked(
                libc.syscall(_OPENAT2, top, os.fsencode(path), ctypes.byref(how), ctypes.sizeof(how)),
                "openat2",
                path,
            )
        except OSError as error:
            if error.errno != errno.EAGAIN or attempt == _TRIES - 1:
                raise
    raise AssertionError


def open_directory(top: int, path: str, mode: int = 0o755, owner: int | None = None) -> int:
    """A descriptor of the directory `path` below `top`, made with its parents where it isn't there.

    Links are followed as long as they stay below `top`. What is made gets `mode`, whatever the umask, and
    belongs to the user and group `owner`. Raises OSError as `open_at` does.
    """
    here = os.dup(top)
    done = PurePosixPath()
    try:
        for name in PurePosixPath(path).parts:
            done /= name
            below = _enter(top, here, done, mode, owner)
            os.close(here)
            here = below
    except BaseException:
        os.close(here)
        raise
    return here


def _enter(top: int, parent: int, path: PurePosixPath, mode: int, owner: int | None) -> int:
    """Open the directory `path` below `top`, whose parent is open already; make it if it isn't there."""
    flags = os.O_PATH | os.O_DIRECTORY
    try:
        return open_at(top, str(path), flags, BENEATH | NO_MAGICLINKS)
    except FileNotFoundError:
        with contextlib.suppress(FileExistsError):  # a link that leads nowhere, or somebody was quicker
            os.mkdir(path.name, 0o700, dir_fd=parent)
        made = open_at(parent, path.name, flags, BENEATH | NO_SYMLINKS)
        if owner is not None:
            os.chown(self_path(made), owner, owner)
        os.chmod(self_path(made), mode)
        return made


def create_file(top: int, path: str) -> int:
    """A descriptor to write a new file below `top`, its directories made. Raises OSError if it is there."""
    pure = PurePosixPath(path)
    parent = open_directory(top, str(pure.parent))
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        return open_at(parent, pure.name, flags, BENEATH | NO_SYMLINKS, 0o600)
    finally:
        os.close(parent)


def read_file(top: int, path: str, limit: int, resolve: int = BENEATH | NO_SYMLINKS) -> bytes:
    """At most `limit` bytes of a regular file at `path`, seen from `top`; its last ones if negative.

    Raises OSError; EINVAL for what is no regular file, whose reading might never end or have effects.
    """
    fd = open_at(top, path, os.O_PATH, resolve | NO_MAGICLINKS)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", path)
        with open(self_path(fd), "rb") as file:
            if limit < 0:
                file.seek(max(os.fstat(file.fileno()).st_size + limit, 0))
            return file.read(abs(limit))
    finally:
        os.close(fd)


def self_path(fd: int) -> str:
    """A name for what a descriptor is open on, for calls that take no descriptor."""
    return f"/proc/self/fd/{fd}"
