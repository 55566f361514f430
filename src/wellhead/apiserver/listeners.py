"""The sockets that the server answers on."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from wellhead.api.ranges import Address
from wellhead.ip import family_of


def listeners(inherited: Sequence[int], addresses: Sequence[Address], port: int) -> list[socket.socket]:
    """Inherited listening sockets (file descriptors), and one on `port` of each address; port 0: any.

    Raises OSError for an address that can't be bound, ValueError when there is nothing to listen on.
    """
    found = [socket.socket(fileno=fd) for fd in inherited]
    for address in addresses:
        listener = socket.socket(family_of(address).number)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if address.version == 6:
            # As with kube-apiserver, :: means all addresses; beside an IPv4 address, only the IPv6 ones.
            everything = address.is_unspecified and all(each.version == 6 for each in addresses)
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not everything)
        listener.bind((str(address), port))
        found.append(listener)
    if not found:
        raise ValueError("nothing to listen on: give --bind-address or --listen-fd")
    for listener in found:
        listener.setblocking(False)
    return found
