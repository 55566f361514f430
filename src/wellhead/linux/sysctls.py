"""Kernel settings as files: facts (see `facts`), and hearing of whoever writes them.

Of few settings does the kernel tell by netlink. A write to any of them is heard by inotify(7), as of other
files, if it came by the same mount of /proc: not from a container that has a /proc of its own. And of what
the kernel changes by itself together with another setting, nothing is heard.
"""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Callable, Hashable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

from wellhead.linux.facts import Fact, Key, Value
from wellhead.linux.inotify import IN_MODIFY, Inotify, add_watch, open_instance
from wellhead.linux.syscalls import libc

Owner = TypeVar("Owner", bound=Hashable)

_PROC = Path("/proc")
_EVENT = struct.Struct("iIII")
_SIZE = 65536


def key(name: str) -> Key:
    """("sysctl", NAME), as in net/ipv4/conf/all/send_redirects."""
    return "sysctl", name


def path(name: str, proc: Path = _PROC) -> Path:
    """Where the setting is read and written, in the network namespace of whoever opens it."""
    return proc / "sys" / name


def file_of(fact: Key, proc: Path = _PROC) -> Path:
    """The `path` of the setting that a key is of."""
    return path(str(fact[1]), proc)


def number(name: str) -> int | None:
    """What a setting is; None if it is no number, or this kernel hasn't got it."""
    return _number(path(name))


def read(keys: Iterable[Key], proc: Path = _PROC) -> list[Fact]:
    """What the settings are in the calling thread's network namespace; those of other kinds are left out."""
    return [(each, _number(file_of(each, proc))) for each in keys if each[0] == "sysctl"]


def served(facts: Mapping[Key, Value], proc: Path = _PROC) -> dict[Key, Value]:
    """The facts without settings that this kernel hasn't got, or of an interface that isn't there."""
    return {
        each: value for each, value in facts.items() if each[0] != "sysctl" or file_of(each, proc).exists()
    }


def write(fact: Key, value: Value) -> None:
    """Make it so; one that this kernel hasn't got is left out. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        file_of(fact).write_text(f"{value}\n")


class News(Generic[Owner]):
    """Writes to settings, of one owner or of several. To be polled by its file descriptor.

    Raises:
        UsedUp: the user has no instance of inotify left.
    """

    def __init__(self) -> None:
        self._fd = open_instance()
        self._watched: dict[int, tuple[Owner, Key]] = {}

    def fileno(self) -> int:
        return self._fd

    def close(self) -> None:
        os.close(self._fd)

    def listen(self, owner: Owner, keys: Iterable[Key], proc: Path = _PROC) -> None:
        """Hear of these of the owner's from now on, and of no others; in the thread's network namespace.

        Raises UsedUp: the user has no watch left.
        """
        self.forget(owner)
        for each in keys:
            if each[0] != "sysctl":
                continue
            path = file_of(each, proc)
            with contextlib.suppress(FileNotFoundError):
                self._watched[add_watch(self._fd, path, IN_MODIFY)] = owner, each

    def forget(self, owner: Owner) -> None:
        """Hear no more of the owner's."""
        for watch in [watch for watch, (whose, _) in self._watched.items() if whose == owner]:
            del self._watched[watch]
            libc.inotify_rm_watch(self._fd, watch)  # fails if the file is gone: as good

    def written(self) -> dict[Owner, set[Key]]:
        """Whose settings somebody has written since the last call."""
        found: dict[Owner, set[Key]] = {}
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self._fd, _SIZE):
                offset = 0
                while offset < len(data):
                    watch, _, _, length = _EVENT.unpack_from(data, offset)
                    offset += _EVENT.size + length
                    if watch in self._watched:
                        owner, each = self._watched[watch]
                        found.setdefault(owner, set()).add(each)
        return found


class Writes:
    """As `News`, on the running loop, with its inotify instance: calls back with a setting that was written.

    Raises:
        UsedUp: the user has no instance of inotify left.
    """

    def __init__(self, written: Callable[[Key], None]) -> None:
        self._inotify = Inotify()
        self._written = written
        self._watches: dict[str, contextlib.ExitStack] = {}

    def listen(self, owner: str, keys: Iterable[Key]) -> None:
        """Hear of these of the owner's from now on, and of no others. Raises as `News.listen`."""
        self.forget(owner)
        watches = self._watches[owner] = contextlib.ExitStack()
        for each in keys:
            if each[0] == "sysctl":
                written = partial(self._written, each)
                with contextlib.suppress(FileNotFoundError):
                    watches.enter_context(self._inotify.watch(file_of(each), IN_MODIFY, written))

    def forget(self, owner: str) -> None:
        """Hear no more of the owner's."""
        if watches := self._watches.pop(owner, None):
            watches.close()

    def close(self) -> None:
        for owner in list(self._watches):
            self.forget(owner)
        self._inotify.close()


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None
