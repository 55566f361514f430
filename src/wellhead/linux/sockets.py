"""Sockets of a server that has the same port by UDP and TCP."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Sequence
from contextlib import suppress

from wellhead.ip import IPAddress, family_of

_BACKLOG = 512
_TRIES = 16
_RECEIVE_BUFFER = 1 << 20  # bytes; the kernel gives what its limit allows


def bind_udp_and_tcp(addresses: Iterable[IPAddress], port: int) -> list[socket.socket]:
    """Two sockets for each address: UDP, and listening TCP. Port 0: one that is free, the same for all.

    Raises OSError; nothing stays open then.
    """
    addresses = list(addresses)
    for _ in range(0 if port else _TRIES):
        with suppress(OSError):  # what is free by UDP may be taken by TCP
            return _bind_all(addresses, 0)
    return _bind_all(addresses, port)


def _bind_all(addresses: Sequence[IPAddress], port: int) -> list[socket.socket]:
    made: list[socket.socket] = []
    try:
        for address in addresses:
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                made.append(_bind(address, port, kind))
                port = made[0].getsockname()[1]
    except BaseException:
        for each in made:
            each.close()
        raise
    return made


def _bind(address: IPAddress, port: int, kind: socket.SocketKind) -> socket.socket:
    made = socket.socket(family_of(address).number, kind)
    try:
        if address.version == 6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if kind == socket.SOCK_STREAM:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        else:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        made.bind((str(address), port))
        if kind == socket.SOCK_STREAM:
            made.listen(_BACKLOG)
    except OSError as error:
        made.close()
        where = f"can't listen at {address}, port {port}"
        raise OSError(error.errno, f"{where}: {error.strerror}") from error
    except BaseException:
        made.close()
        raise
    return made
