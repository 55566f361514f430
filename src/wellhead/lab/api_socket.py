"""The API server's socket on the host's 127.0.0.1: made once, passed on, and got back after a crash.

The supervisor holds it open, so that clients wait instead of being refused while the API server restarts. A
new supervisor finds it in the API server that its predecessor started (pidfd_getfd(2)).
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
from collections.abc import Iterator

from wellhead import ports
from wellhead.lab.cluster import LabError
from wellhead.linux.syscalls import checked, libc

_HOST = "127.0.0.1"
_BACKLOG = 512
_TRIES = 100
_SYS_PIDFD_GETFD = 438  # the same on every architecture


def choose() -> socket.socket:
    """Listen on the first free port from the API server's usual one upwards.

    Raises:
        LabError: the next hundred ports are taken.
    """
    for port in range(ports.API, ports.API + _TRIES):
        listener = bind(port)
        if listener is not None:
            return listener
    raise LabError(f"no free port on {_HOST} from {ports.API} to {ports.API + _TRIES - 1}")


def bind(port: int) -> socket.socket | None:
    """Listen on this port; None if somebody else does."""
    listener = socket.socket()
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((_HOST, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            return None
        raise
    return listener


def recover(pid: int, pidfd: int, port: int) -> socket.socket | None:
    """The listening socket of this port, out of the process that holds it; None if it doesn't."""
    for found in sockets_of(pid, pidfd):
        if _listens(found, port):
            return found
        found.close()
    return None


def sockets_of(pid: int, pidfd: int) -> Iterator[socket.socket]:
    """A copy of each socket that a process has, in the order of its descriptors; the caller closes them."""
    try:
        descriptors = sorted(int(name) for name in os.listdir(f"/proc/{pid}/fd"))
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return
    for descriptor in descriptors:
        try:
            if not os.readlink(f"/proc/{pid}/fd/{descriptor}").startswith("socket:"):
                continue
            found = socket.socket(fileno=_pidfd_getfd(pidfd, descriptor))
        except OSError:
            continue
        yield found


def _listens(candidate: socket.socket, port: int) -> bool:
    try:
        return (
            candidate.family == socket.AF_INET
            and candidate.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
            and candidate.getsockname() == (_HOST, port)
        )
    except OSError:
        return False


def _pidfd_getfd(pidfd: int, descriptor: int) -> int:
    result = libc.syscall(
        ctypes.c_long(_SYS_PIDFD_GETFD), ctypes.c_int(pidfd), ctypes.c_int(descriptor), ctypes.c_uint(0)
    )
    return checked(result, "pidfd_getfd")
