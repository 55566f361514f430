"""inotify(7): hear of changes in directories, on the event loop."""

from __future__ import annotations

import asyncio
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


class Inotify:
    """One inotify instance (of which a user may only have some) for any number of directories."""

    def __init__(self) -> None:
        self._fd = checked(libc.inotify_init1(_NONBLOCK_CLOEXEC), "inotify_init1")
        self._listeners: dict[int, list[Callable[[], None]]] = {}
        asyncio.get_running_loop().add_reader(self._fd, self._read)

    def close(self) -> None:
        """Stop listening."""
        asyncio.get_running_loop().remove_reader(self._fd)
        os.close(self._fd)

    @contextmanager
    def watch(self, directory: Path, mask: int, changed: Callable[[], None]) -> Iterator[None]:
        """Call `changed` after events of `mask` in the directory. All watchers of one use the same mask."""
        watch = checked(
            libc.inotify_add_watch(self._fd, os.fsencode(directory), mask),
            "inotify_add_watch",
            str(directory),
        )
        listeners = self._listeners.setdefault(watch, [])
        listeners.append(changed)
        try:
            yield
        finally:
            listeners.remove(changed)
            if not listeners and self._listeners.pop(watch, None) is not None:
                libc.inotify_rm_watch(self._fd, watch)  # fails if the directory is gone: as good

    def _read(self) -> None:
        try:
            data = os.read(self._fd, 65536)
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
            for changed in list(self._listeners.get(watch, ())):
                changed()
