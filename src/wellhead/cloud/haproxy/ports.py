"""Whether HAProxy could listen somewhere: asked before it is told to.

It refuses a configuration as a whole for one port that it can't have, and then all Services wait.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable

from wellhead.ip import IPAddress

_IP_FREEBIND, _IPV6_FREEBIND = 15, 78  # linux/in.h, linux/in6.h


class PortTaken(Exception):
    """Another program listens there. The text says where; it ends up in an event."""


def check(vips: Iterable[IPAddress], ports: Iterable[int]) -> None:
    """Check that this machine's network stack would let HAProxy listen on these ports of these VIPs.

    It is asked by the same rules (SO_REUSEADDR, SO_REUSEPORT), so a listener of HAProxy's own is no obstacle.

    Raises:
        PortTaken: it wouldn't.
    """
    wanted = set(ports)
    for vip in vips:
        for port in sorted(wanted):
            _check(vip, port)


def _check(vip: IPAddress, port: int) -> None:
    family = socket.AF_INET if vip.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if vip.version == 4:  # the VIP need not be here yet
            sock.setsockopt(socket.SOL_IP, _IP_FREEBIND, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_FREEBIND, 1)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            sock.bind((str(vip), port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            raise PortTaken(
                f"port {port}: another program listens there on the proxy's machine, on all addresses"
            ) from None
