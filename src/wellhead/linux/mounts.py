"""Mounts: make them, change them, remove them, list them.

Sources: mount(2), umount2(2), proc_pid_mountinfo(5).
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import select
from dataclasses import dataclass
from pathlib import Path

from wellhead.linux.syscalls import checked, libc

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_BIND = 4096
MS_MOVE = 8192
MS_REC = 16384
MS_PRIVATE = 1 << 18

MNT_DETACH = 2
UMOUNT_NOFOLLOW = 8

_STATFS_SIZE = 256  # struct statfs is 120 bytes on 64-bit Linux; its first word is the file system's magic


@dataclass(frozen=True)
class Mount:
    """One line of mountinfo. `super_options` are the file system's own, `options` those of this mount."""

    device: int
    """The file system's number, as stat(2) tells it."""
    target: str
    fstype: str
    source: str
    root: str
    options: str
    super_options: str


def mount(
    source: str | Path,
    target: str | Path,
    fstype: str = "",
    flags: int = 0,
    data: str = "",
) -> None:
    """mount(2). Raises OSError naming both paths."""
    result = libc.mount(
        os.fsencode(source),
        os.fsencode(target),
        fstype.encode() or None,
        ctypes.c_ulong(flags),
        data.encode() or None,
    )
    checked(result, f"mount {fstype or 'bind'}", str(source), str(target))


def umount(target: str | Path, flags: int = 0) -> None:
    """umount2(2). Raises OSError with EINVAL if nothing is mounted there."""
    checked(libc.umount2(os.fsencode(target), flags), "umount", str(target))


def make_private(target: str | Path = "/") -> None:
    """Stop mounts under `target` from spreading to other mount namespaces, and theirs from coming here."""
    mount("none", target, flags=MS_REC | MS_PRIVATE)


def is_filesystem(fd: int, magic: int) -> bool:
    """Whether the open file lies on the kind of file system that has this magic number (statfs(2))."""
    buffer = ctypes.create_string_buffer(_STATFS_SIZE)
    checked(libc.fstatfs(fd, buffer), "fstatfs")
    return ctypes.c_long.from_buffer(buffer).value == magic


def is_mounted(path: Path) -> bool:
    """Whether something is mounted at `path` itself.

    Another directory of the same file system included, which Path.is_mount takes for a mere directory.
    """
    numbers = []
    for each, flags in ((path, os.O_NOFOLLOW), (path.parent, 0)):
        try:
            fd = os.open(each, os.O_PATH | os.O_CLOEXEC | flags)
        except (FileNotFoundError, NotADirectoryError):
            return False
        try:
            text = Path(f"/proc/thread-self/fdinfo/{fd}").read_text()
        finally:
            os.close(fd)
        numbers.append(next(line for line in text.splitlines() if line.startswith("mnt_id:")))
    return numbers[0] != numbers[1]


def mounts(pid: int | str = "thread-self") -> list[Mount]:
    """The mounts that process `pid` (or this thread) sees, in the order in which they were made."""
    found = []
    # Of what a name may hold, the kernel escapes only blanks, tabs, newlines and backslashes.
    for line in os.fsdecode(Path(f"/proc/{pid}/mountinfo").read_bytes()).split("\n")[:-1]:
        left, _, right = line.partition(" - ")
        _, _, numbers, root, target, options, *_ = left.split(" ")
        fstype, source, super_options = right.split(" ", 2)
        major, minor = map(int, numbers.split(":"))
        found.append(
            Mount(
                os.makedev(major, minor),
                _unescape(target),
                fstype,
                _unescape(source),
                _unescape(root),
                options,
                super_options,
            )
        )
    return found


def below(directory: str | Path, pid: int | str = "thread-self") -> list[str]:
    """Where something is mounted at or below `directory`, innermost last made first: the order to unmount."""
    top = os.path.realpath(directory)
    prefix = top.rstrip("/") + "/"
    return [
        entry.target
        for entry in reversed(mounts(pid))
        if entry.target == top or entry.target.startswith(prefix)
    ]


def umount_below(directory: str | Path) -> None:
    """Unmount all that is mounted at or below `directory`; what is in use goes when it no longer is."""
    for target in below(directory):
        try:
            umount(target, MNT_DETACH | UMOUNT_NOFOLLOW)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOENT):  # gone together with another one
                raise


class News:
    """Changes of the mounts that a process sees, told by the kernel. To be polled by its file descriptor.

    What has changed isn't told. Raises OSError if there is no such process.
    """

    def __init__(self, pid: int) -> None:
        # Mountinfo can always be read; what tells of a change is an "exceptional condition".
        self._file = os.open(f"/proc/{pid}/mountinfo", os.O_RDONLY | os.O_CLOEXEC)
        self._poll = select.epoll()
        self._poll.register(self._file, select.EPOLLPRI)

    def fileno(self) -> int:
        return self._poll.fileno()

    def read(self) -> None:
        """Be told of the next change, too."""
        self._poll.poll(0)

    def close(self) -> None:
        self._poll.close()
        os.close(self._file)


def _unescape(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
