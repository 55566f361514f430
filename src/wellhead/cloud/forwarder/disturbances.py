"""Noticing by netlink that somebody else changes what the forwarder has put into the kernel."""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
from collections.abc import Callable, Iterator

from wellhead.cloud.forwarder.elements import TABLE
from wellhead.cloud.forwarder.family import Family
from wellhead.cloud.forwarder.own_changes import OwnChanges

_NETLINK_NETFILTER = 12
_SOL_NETLINK, _ADD_MEMBERSHIP = 270, 1
_NFTABLES_GROUP, _NFTABLES_SUBSYSTEM = 7, 10
_TABLE_NAME = 1  # the attribute of that number names the table in all of nftables' messages but NEWGEN
_NEWGEN = 15
# RTNLGRP_LINK, NEIGH, IPV4_IFADDR, IPV4_ROUTE, IPV4_RULE, IPV6_IFADDR, IPV6_ROUTE, IPV6_RULE: a link going
# down takes IPv4 routes along without saying so
_ROUTE_GROUPS = (1, 3, 5, 7, 8, 9, 11, 19)
_RTM_NEWLINK, _RTM_NEWADDR, _RTM_DELADDR, _RTM_DELROUTE, _RTM_DELRULE = 16, 20, 21, 25, 33
_RTM_NEWNEIGH = 28
_HEADER = struct.Struct("=IHHII")
_BUFFER = 1 << 20
_SO_RCVBUFFORCE, _WAITING_BYTES = 33, 4 << 20


class Disturbances:
    """Tells of others' changes of one family's table, of what may have taken routes or rules away, and of
    neighbours that the kernel has heard from.

    To be made in the router's network namespace; `listen` and `close` belong to the event loop.
    """

    def __init__(
        self,
        family: Family,
        on_table: Callable[[], None],
        on_routes: Callable[[], None],
        on_neighbour: Callable[[], None],
        ours: OwnChanges,
    ) -> None:
        self._family = family
        self._on_table = on_table
        self._on_routes = on_routes
        self._on_neighbour = on_neighbour
        self._ours = ours
        self._nftables = subscribed(_NETLINK_NETFILTER, (_NFTABLES_GROUP,))
        ours.hide_from(self._nftables)
        self._routes = subscribed(socket.NETLINK_ROUTE, _ROUTE_GROUPS)

    def listen(self) -> None:
        """Call back from now on."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._nftables, self._read_nftables)
        loop.add_reader(self._routes, self._read_routes)

    def close(self) -> None:
        """Stop."""
        loop = asyncio.get_running_loop()
        self._ours.forget(self._nftables)
        for sock in (self._nftables, self._routes):
            loop.remove_reader(sock)
            sock.close()

    def _read_nftables(self) -> None:
        for kind, body in messages(self._nftables):
            if kind is None or (
                kind >> 8 == _NFTABLES_SUBSYSTEM
                and kind & 0xFF != _NEWGEN
                and body[0] == self._family.af
                and _names_table(body[4:])
            ):
                self._on_table()

    def _read_routes(self) -> None:
        for kind, body in messages(self._routes):
            if kind in (None, _RTM_NEWLINK) or (
                kind in (_RTM_NEWADDR, _RTM_DELADDR, _RTM_DELROUTE, _RTM_DELRULE)
                and body[0] == self._family.af
            ):
                self._on_routes()
            elif kind == _RTM_NEWNEIGH and body[0] in (socket.AF_INET, socket.AF_INET6):
                self._on_neighbour()


def subscribed(protocol: int, groups: tuple[int, ...]) -> socket.socket:
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _WAITING_BYTES)
        sock.bind((0, 0))
        for group in groups:
            sock.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, group)
    except BaseException:
        sock.close()
        raise
    return sock


def messages(sock: socket.socket) -> Iterator[tuple[int | None, bytes]]:
    """Type and body of each message that has come; a type of None says that some were lost."""
    while True:
        try:
            data = sock.recv(_BUFFER)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            yield None, b""
            continue
        while len(data) >= _HEADER.size:
            length, kind, _, _, _ = _HEADER.unpack_from(data)
            yield kind, data[_HEADER.size : length]
            data = data[(length + 3) & ~3 :]


def _names_table(attributes: bytes) -> bool:
    """Whether the first attribute is the name of our table, as it is in nftables' messages."""
    if len(attributes) < 4:
        return False
    length, kind = struct.unpack_from("=HH", attributes)
    return kind == _TABLE_NAME and attributes[4:length].rstrip(b"\0") == TABLE.encode()
