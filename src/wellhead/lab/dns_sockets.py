"""The DNS server's sockets: made in its machine, held by the supervisor, got back from a server that runs.

So queries that come while no server runs wait for the next one, instead of being refused: a resolver that
hears of a closed port gives up at once.
"""

from __future__ import annotations

import os
import socket

from wellhead.lab import api_socket
from wellhead.lab.addresses import DNS_PORT, IPAddress
from wellhead.lab.machines import Machine
from wellhead.linux import namespaces
from wellhead.linux.sockets import bind_udp_and_tcp


class DnsSockets:
    """UDP and TCP of each address, in that order; or none, as long as nobody needs them."""

    def __init__(self) -> None:
        self._held: list[socket.socket] = []

    def open_in(self, machine: Machine, addresses: list[IPAddress]) -> list[int]:
        """Their descriptors, to be passed on. The caller must have a single thread.

        Raises:
            OSError: an address can't be bound; ProcessLookupError: the machine is off.
        """
        if not self._held:
            home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            there = -1
            try:
                there = machine.open_network()
                namespaces.setns(there, namespaces.CLONE_NEWNET)
                try:
                    self._held = bind_udp_and_tcp(addresses, DNS_PORT)
                finally:
                    namespaces.setns(home, namespaces.CLONE_NEWNET)
            finally:
                for descriptor in (home, there):
                    if descriptor >= 0:
                        os.close(descriptor)
        return [each.fileno() for each in self._held]

    @property
    def held(self) -> tuple[socket.socket, ...]:
        """Those that are open."""
        return tuple(self._held)

    def recover(self, pid: int, pidfd: int, addresses: list[IPAddress]) -> None:
        """Get them out of a server that an earlier supervisor has started, or out of that one's guardian."""
        if self._held:
            return
        wanted = [(str(address), kind) for address in addresses for kind in _KINDS]
        found: dict[tuple[str, int], socket.socket] = {}
        for each in api_socket.sockets_of(pid, pidfd):
            which = _which(each)
            if which in wanted and which not in found:
                found[which] = each
            else:
                each.close()
        if len(found) == len(wanted):
            self._held = [found[which] for which in wanted]
        else:
            for each in found.values():
                each.close()

    def close(self) -> None:
        """Let go of them: their machine is off, or nobody is to serve them."""
        for each in self._held:
            each.close()
        self._held = []


_KINDS = (socket.SOCK_DGRAM, socket.SOCK_STREAM)


def _which(candidate: socket.socket) -> tuple[str, int] | None:
    """The address and kind of a socket that waits at the port; None of any other."""
    try:
        if candidate.family not in (socket.AF_INET, socket.AF_INET6):
            return None
        address, port = candidate.getsockname()[:2]
        if candidate.type == socket.SOCK_STREAM:
            waits = candidate.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
        else:
            waits = candidate.type == socket.SOCK_DGRAM
    except OSError:
        return None
    return (address, candidate.type) if waits and port == DNS_PORT else None
