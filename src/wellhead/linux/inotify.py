"""inotify(7): hear of changes in directories, on the event loop."""

from __future__ import annotations

import asyncio
import errno
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from wellhead.linux.syscalls import checked, libc

IN_MODIFY = 0x00000002
IN_CLOSE_WRITE = 0x00000008
IN_MOVED_FROM = 0x00000040
IN_MOVED_TO = 0x00000080
IN_CREATE = 0x00000100
IN_DELETE = 0x00000200

_NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC
_EVENT = struct.Struct("iIII")
_IN_IGNORED = 0x00008000


_LIMITS = Path("/proc/sys/fs/inotify")


class UsedUp(OSError):
    """The user has no instance, or no watch, left. Its text says what to do."""


def open_instance() -> int:
    """An instance of one's own. Raises UsedUp."""
    return _told(libc.inotify_init1(_NONBLOCK_CLOEXEC), "inotify_init1", errno.EMFILE, "max_user_instances")


def add_watch(instance: int, path: Path, mask: int) -> int:
    """The watch of a file or a directory. Raises UsedUp, or OSError if it isn't there."""
    found: int = libc.inotify_add_watch(instance, os.fsencode(path), mask)
    return _told(found, "inotify_add_watch", errno.ENOSPC, "max_user_watches", str(path))


def _told(result: int, what: str, used_up: int, limit: str, *paths: str) -> int:
    try:
        return checked(result, what, *paths)
    except OSError as error:
        if error.errno != used_up:
            raise
        try:
            most = int((_LIMITS / limit).read_text())
        except (OSError, ValueError):
            raise error from None
        # EMFILE may be the process' own limit of files, too, which is far higher in all that we start.
        raise UsedUp(
            f"{': '.join((what, *paths))}: this user's programs have all {most} that fs.inotify.{limit} "
            f"allows: end some (another cluster, say), or `sysctl fs.inotify.{limit}={max(4 * most, 1024)}`"
        ) from None


class Inotify:
    """A share in the event loop's inotify instance, for any number of directories.

    A user may have few instances (128, unless told otherwise), and a machine may have many nodes.

    Raises:
        UsedUp: the user has none left.
    """

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self._instance = _instances.get(loop) or _Instance(loop)
        self._instance.users += 1

    def close(self) -> None:
        """Stop listening."""
        self._instance.users -= 1
        if not self._instance.users:
            self._instance.close()

    @contextmanager
    def watch(self, directory: Path, mask: int, changed: Callable[[], None]) -> Iterator[None]:
        """Call `changed` after events of `mask` in the directory, or of the file.

        All watchers of one use the same mask. Raises OSError: it isn't there, or the user has no watch left.
        """
        instance = self._instance
        watch = add_watch(instance.fd, directory, mask)
        listeners = instance.listeners.setdefault(watch, [])
        listeners.append(changed)
        try:
            yield
        finally:
            listeners.remove(changed)
            if not listeners and instance.listeners.pop(watch, None) is not None:
                libc.inotify_rm_watch(instance.fd, watch)  # fails if the directory is gone: as good


class _Instance:
    """The one that all users of an event loop share."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.fd = open_instance()
        self.listeners: dict[int, list[Callable[[], None]]] = {}
        self.users = 0
        self._loop = loop
        loop.add_reader(self.fd, self._read)
        _instances[loop] = self

    def close(self) -> None:
        self._loop.remove_reader(self.fd)
        os.close(self.fd)
        del _instances[self._loop]

    def _read(self) -> None:
        try:
            data = os.read(self.fd, 65536)
        except BlockingIOError:
            return
        touched = set()
        offset = 0
        while offset < len(data):
            watch, mask, _, length = _EVENT.unpack_from(data, offset)
            offset += _EVENT.size + length
            if not mask & _IN_IGNORED:
                touched.add(watch)
        for watch in touched:
            for changed in list(self.listeners.get(watch, ())):
                changed()


_instances: dict[asyncio.AbstractEventLoop, _Instance] = {}
