"""The keeper of HAProxy's listening sockets: a process that does nothing else.

A socket listens for as long as anybody has it open. So while HAProxy is away, however it ended, clients wait
for the next one to accept them, instead of being refused. HAProxy's workers pass their sockets on to their
successors over a Unix socket (its management.txt, -x and `expose-fd listeners`); the keeper is a successor
that never accepts, and passes them on in the same way. It is asked in lines, over a Unix socket of its own:

    keep         fetch what the worker has now, and let go of what was kept before; answered with a line for
                 each socket, ADDRESS PORT, or with `error` and why: what was kept is kept on then
    _getsocks    HAProxy's own: here they are

To be run as a program, with the directory of these sockets. It imports little, so that it costs little.
"""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import struct
import sys
from collections.abc import Iterable, Sequence

SOCKET, WORKER = "keeper.sock", "worker.sock"

_GET, _KEEP = b"_getsocks", b"keep"
_TIMEOUT_SECONDS = 2.0  # HAProxy gives up after one
_AT_ONCE = 252  # descriptors in a message: HAProxy's MAX_SEND_FD, and just below the kernel's limit
_NUMBER = struct.Struct("=i")
_DESCRIPTION = bytes(6)  # of a socket: no name of a namespace, none of an interface, and an unused word


def fetch(path: str) -> list[socket.socket]:
    """The listening TCP sockets of the HAProxy whose worker is asked at this path. Raises OSError."""
    received: list[socket.socket] = []
    try:
        with socket.socket(socket.AF_UNIX) as worker:
            worker.settimeout(_TIMEOUT_SECONDS)
            worker.connect(path)
            worker.sendall(_GET + b"\n")
            (number,) = _NUMBER.unpack(worker.recv(_NUMBER.size).ljust(_NUMBER.size, b"\0"))
            while len(received) < number:
                data, descriptors, _, _ = socket.recv_fds(worker, 1 << 16, _AT_ONCE)
                received += [socket.socket(fileno=each) for each in descriptors]
                if not data:
                    raise ConnectionError(f"{len(received)} of {number} sockets came")
                with contextlib.suppress(BrokenPipeError):  # after the last, it may not wait for this
                    worker.sendall(_NUMBER.pack(len(received)))
    except BaseException:
        _close(received)
        raise
    _close(each for each in received if each.family == socket.AF_UNIX)
    return [each for each in received if each.family != socket.AF_UNIX]


def give(successor: socket.socket, held: Sequence[socket.socket]) -> None:
    """Answer `_getsocks`. Raises OSError."""
    successor.sendall(_NUMBER.pack(len(held)))
    for start in range(0, len(held), _AT_ONCE):
        some = held[start : start + _AT_ONCE]
        socket.send_fds(successor, [_DESCRIPTION * len(some)], [each.fileno() for each in some])
        if not successor.recv(_NUMBER.size):
            raise ConnectionError("the successor has gone")


def main(directory: str) -> None:
    """Keep sockets until killed."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    path = os.path.join(directory, SOCKET)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{path}.new")
    os.chmod(f"{path}.new", 0o600)
    listener.listen()
    os.rename(f"{path}.new", path)
    held: list[socket.socket] = []
    while True:
        peer, _ = listener.accept()
        with peer, contextlib.suppress(OSError):
            peer.settimeout(_TIMEOUT_SECONDS)
            asked = peer.recv(64).strip()
            if asked == _GET:
                give(peer, held)
            elif asked == _KEEP:
                try:
                    fresh = fetch(os.path.join(directory, WORKER))
                except OSError as error:
                    peer.sendall(f"error {error}\n".encode())
                    continue
                _close(held)
                held = fresh
                names = (each.getsockname() for each in held)
                peer.sendall("".join(f"{name[0]} {name[1]}\n" for name in names).encode())


def _close(sockets: Iterable[socket.socket]) -> None:
    for each in sockets:
        each.close()


if __name__ == "__main__":
    main(sys.argv[1])
