"""The terminals of commands: how they come from crun, and their sizes."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import termios
from pathlib import Path
from types import TracebackType
from typing import Self

from wellhead.linux import descriptors
from wellhead.linux.programs import Program
from wellhead.waiting import first_of


def set_size(terminal: int, rows: int, columns: int) -> None:
    """Set a terminal's size, of which the kernel tells those who use it. Raises OSError if it is none."""
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def set_size_of(process: int, rows: int, columns: int) -> None:
    """Set the size of the terminal that a process reads from. Raises OSError if it is gone or has none."""
    terminal = os.open(f"/proc/{process}/fd/0", os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        set_size(terminal, rows, columns)
    finally:
        os.close(terminal)


class Arrival:
    """A socket by which crun hands over the terminal that it makes for a command (`--console-socket`)."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "terminal"
        self._directory = directory
        self._listener = socket.socket(socket.AF_UNIX)

    def __enter__(self) -> Self:
        # A socket's path has room for 108 bytes, which a bundle's has not.
        directory = os.open(self._directory, os.O_PATH)
        try:
            self._listener.bind(f"/proc/self/fd/{directory}/{self.path.name}")
        finally:
            os.close(directory)
        self._listener.listen(1)
        self._listener.setblocking(False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._listener.close()

    async def terminal(self, crun: Program) -> int | None:
        """The terminal's descriptor, which is the caller's; None if crun ended without."""
        await first_of(descriptors.readable(self._listener.fileno()), crun.wait())
        try:
            connection, _ = self._listener.accept()
        except BlockingIOError:
            return None
        with connection:
            connection.setblocking(False)
            await descriptors.readable(connection.fileno())
            _, fds, _, _ = socket.recv_fds(connection, 4096, 1)
        for fd in fds:
            os.set_inheritable(fd, False)
        return fds[0] if fds else None
