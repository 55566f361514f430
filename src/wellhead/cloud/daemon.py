"""A process that outlives this one: started, found again by the Unix socket that it listens on, watched.

One that doesn't listen yet is found by its environment: whoever started it may have been killed right after.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path

from wellhead.cloud.plane import PlaneError
from wellhead.linux import proc, signals

_log = logging.getLogger(__name__)

_CONNECT_SECONDS = 5.0
_COMING_SECONDS = 10.0  # for one that was started to listen
_LOOK_SECONDS = 0.02
_MARK = "WELLHEAD_DAEMON"  # in its environment: the socket that it is to listen on, and whose network it has
_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid


class Daemon:
    """One such process. `on_end` is called on the event loop when it has ended, however it did."""

    def __init__(self, name: str, path: Path, on_end: Callable[[], None]) -> None:
        self.pid: int | None = None
        """None while there is none."""
        self._name = name
        self._path = path
        self._on_end = on_end
        self._pidfd = -1

    async def adopt(self) -> bool:
        """Watch the one that listens there, or is about to, if there is one. Returns whether."""
        if self.pid is None and (pid := await asyncio.to_thread(_find, self._path)) is not None:
            with contextlib.suppress(ProcessLookupError):
                self._watch(pid)
                _log.info("%s is running already, as process %d", self._name, pid)
        return self.pid is not None

    async def start(self, arguments: list[str]) -> None:
        """Start one. Raises PlaneError if the program can't be run."""
        self._watch(await asyncio.to_thread(_spawn, arguments, _mark(self._path)))
        _log.info("%s runs as process %d", self._name, self.pid)

    async def stop(self) -> None:
        """End it. Returns when it is gone."""
        if self.pid is None:
            return
        gone = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._pidfd)
        loop.add_reader(self._pidfd, gone.set)
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGTERM)
        try:
            await gone.wait()
        finally:
            self.release()

    def release(self) -> None:
        """Stop watching. It goes on without us."""
        if self.pid is None:
            return
        asyncio.get_running_loop().remove_reader(self._pidfd)
        with contextlib.suppress(ChildProcessError):  # one that was adopted isn't ours to reap
            os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOHANG)
        os.close(self._pidfd)
        self.pid, self._pidfd = None, -1

    def _watch(self, pid: int) -> None:
        self._pidfd = os.pidfd_open(pid)
        self.pid = pid
        asyncio.get_running_loop().add_reader(self._pidfd, self._ended)

    def _ended(self) -> None:
        _log.error("%s (process %s) has ended", self._name, self.pid)
        self.release()
        self._on_end()


def _find(path: Path) -> int | None:
    """The process that listens on this socket, or will; None if there is none, or it never does."""
    pid, mark = _listener(path), _mark(path)
    for coming in () if pid is not None else _marked(mark):
        deadline = time.monotonic() + _COMING_SECONDS
        while pid is None and _is_marked(coming, mark) and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
            pid = _listener(path)
        if pid != coming and _is_marked(coming, mark):
            with contextlib.suppress(ProcessLookupError):
                os.kill(coming, signal.SIGKILL)
    return pid


def _mark(path: Path) -> dict[str, str]:
    """What is in the environment of who was started to listen there."""
    return {_MARK: f"{path} {os.readlink('/proc/self/ns/net')}"}


def _marked(mark: dict[str, str]) -> list[int]:
    return [pid for pid in proc.pids() if _is_marked(pid, mark)]


def _is_marked(pid: int, mark: dict[str, str]) -> bool:
    """Whether it was started with that mark. What it has forked has it, too, and leads no session."""
    session = proc.statistics(pid)[3:4]
    return session == [str(pid)] and mark.items() <= proc.environment(pid).items()


def _listener(path: Path) -> int | None:
    """The process that listens on this socket; None if there is none."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(_CONNECT_SECONDS)
        try:
            sock.connect(os.fspath(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return None
        credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        return int(_CREDENTIALS.unpack(credentials)[0])


def _spawn(arguments: list[str], mark: dict[str, str]) -> int:
    try:
        return os.posix_spawn(
            arguments[0],
            arguments,
            os.environ | mark,
            file_actions=[(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0), *_closed()],
            setsid=True,
            setsigmask=(),
            setsigdef=signals.DEFAULT,
        )
    except OSError as error:
        raise PlaneError(f"{arguments[0]} can't be run: {error.strerror}") from error


def _closed() -> list[tuple[int, int]]:
    """Descriptors that are ours alone, although a child would inherit them."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            if int(name) > 2 and os.get_inheritable(int(name)):
                found.append((os.POSIX_SPAWN_CLOSE, int(name)))
    return found
