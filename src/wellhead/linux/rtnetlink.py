"""Requests about links, addresses, neighbours and routes, as bytes, and many of them in one call.

A pod's link takes some twenty, which pyroute2 makes and awaits one by one, at half a millisecond each.
Source: rtnetlink(7), linux/{rtnetlink,if_link,if_addr,neighbour,veth}.h.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Container, Sequence
from typing import NamedTuple, Self

from wellhead.ip import Family, IPAddress, IPNetwork
from wellhead.linux import netlink
from wellhead.linux.netlink import NetlinkError, RouteNews, attribute, nested, text
from wellhead.linux.routes import MAIN_TABLE, Kind

_ACK, _REPLACE, _EXCLUSIVE, _CREATE = 0x4, 0x100, 0x200, 0x400
_GET_LINK, _SET_LINK = 18, 19
_UP = 1
_LINK_INFO, _NETNS_FD, _GROUP = 18, 28, 27
_PERMANENT = 0x80
_NO_DUPLICATE_DETECTION = 0x02
_KERNEL, _STATIC = 2, 4
_UNIVERSE, _LINK, _HOST, _NOWHERE = 0, 253, 254, 255

_LINK_HEADER = struct.Struct("=BxHiII")
_ADDRESS_HEADER = struct.Struct("=BBBBI")
_NEIGHBOUR_HEADER = struct.Struct("=BxxxiHBB")
_ROUTE_HEADER = struct.Struct("=BBBBBBBBI")


class Request(NamedTuple):
    """One message. An answer of one of the errors `but` is as good as none."""

    kind: int
    flags: int
    body: bytes
    but: tuple[int, ...] = ()


def delete_link(name: str) -> Request:
    """Delete a link, if it is there."""
    body = _link(0, 0, text(3, name))
    return Request(RouteNews.DEL_LINK, 0, body, (errno.ENODEV,))


def add_veth(name: str, mac: str, mtu: int, group: int, peer: str, peer_mac: str, namespace: int) -> Request:
    """Add a pair of virtual Ethernet links. The peer is in another namespace, given as its descriptor."""
    other = _link(0, 0, text(3, peer), _mac(1, peer_mac), _u32(4, mtu), _u32(_NETNS_FD, namespace))
    body = _link(
        0,
        0,
        text(3, name),
        _mac(1, mac),
        _u32(4, mtu),
        _u32(_GROUP, group),
        nested(_LINK_INFO, text(1, "veth"), nested(2, attribute(1, other))),
    )
    return Request(RouteNews.NEW_LINK, _CREATE | _EXCLUSIVE, body)


def set_up(index: int, *, mtu: int | None = None, group: int | None = None) -> Request:
    """Set a link up, and what else is given."""
    settings = [_u32(4, mtu)] if mtu is not None else []
    if group is not None:
        settings.append(_u32(_GROUP, group))
    return Request(_SET_LINK, 0, _link(index, _UP, *settings))


def put_address(index: int, address: IPAddress, prefix: int) -> Request:
    """Let a link have this address, usable at once (IFA_F_NODAD)."""
    family, packed = Family(address.version), address.packed
    flags = _NO_DUPLICATE_DETECTION if family is Family.IPV6 else 0
    parts = attribute(1, packed), attribute(2, packed)
    body = _ADDRESS_HEADER.pack(family.number, prefix, flags, _UNIVERSE, index) + b"".join(parts)
    return Request(RouteNews.NEW_ADDRESS, _CREATE | _REPLACE, body)


def put_neighbour(index: int, address: IPAddress, mac: str) -> Request:
    """Let a neighbour's hardware address be this, for good."""
    family = Family(address.version)
    body = _NEIGHBOUR_HEADER.pack(family.number, index, _PERMANENT, 0, 0)
    return Request(
        RouteNews.NEW_NEIGH, _CREATE | _REPLACE, body + attribute(1, address.packed) + _mac(2, mac)
    )


def put_route(
    index: int | None,
    to: IPNetwork,
    *,
    gateway: IPAddress | None = None,
    source: IPAddress | None = None,
    kind: Kind = Kind.UNICAST,
    table: int = MAIN_TABLE,
    metric: int = 0,
    protocol: int = _STATIC,
) -> Request:
    """Have this route, in place of one to the same network; by a link, or whichever leads to the gateway."""
    by_link = kind is Kind.UNICAST and gateway is None
    scope = _HOST if kind is Kind.LOCAL else _LINK if by_link else _UNIVERSE
    body = _route(to, table, protocol, scope, kind, index)
    if gateway is not None:
        body += attribute(5, gateway.packed)
    if source is not None:
        body += attribute(7, source.packed)
    if metric:
        body += _u32(6, metric)
    return Request(RouteNews.NEW_ROUTE, _CREATE | _REPLACE, body)


def delete_route(to: IPNetwork, *, protocol: int, table: int = MAIN_TABLE) -> Request:
    """Delete an owner's route to a network, if there is one."""
    return Request(RouteNews.DEL_ROUTE, 0, _route(to, table, protocol, _NOWHERE, None, None), (errno.ESRCH,))


def delete_connected_route(index: int, to: IPNetwork) -> Request:
    """Delete the route that the kernel has made for an address."""
    scope = _LINK if Family(to.version) is Family.IPV4 else _NOWHERE
    return Request(RouteNews.DEL_ROUTE, 0, _route(to, MAIN_TABLE, _KERNEL, scope, None, index))


class Requests:
    """Makes requests in the network namespace of the thread that makes this. Calls block."""

    def __init__(self) -> None:
        self._socket = netlink.Socket(netlink.ROUTE)
        self._sequence = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def make(self, *requests: Request) -> None:
        """Make all of them, in this order. Raises NetlinkError: the first that was refused."""
        first = self._send(requests)
        refused: list[NetlinkError] = []
        missing = len(requests)
        while missing:
            for message in self._socket.receive():
                place = message.sequence - first
                if message.kind != netlink.NLMSG_ERROR or not 0 <= place < len(requests):
                    continue
                missing -= 1
                error = netlink.refusal(message, place)
                if error is not None and error.errno not in requests[place].but:
                    refused.append(error)
        if refused:
            raise refused[0]

    def index(self, link: str, absent: Container[int] = (errno.ENODEV,)) -> int | None:
        """The number of a link; None if there is none of this name. Raises NetlinkError."""
        first = self._send([Request(_GET_LINK, 0, _link(0, 0, text(3, link)))])
        found: int | None = None
        while True:
            for message in self._socket.receive():
                if message.sequence != first:
                    continue
                if message.kind == RouteNews.NEW_LINK:
                    (found,) = struct.unpack_from("=4xi", message.body)
                elif message.kind == netlink.NLMSG_ERROR:
                    error = netlink.refusal(message)
                    if error is not None and error.errno not in absent:
                        raise error
                    return found

    def _send(self, requests: Sequence[Request]) -> int:
        first = self._sequence + 1
        self._sequence += len(requests)
        self._socket.send(
            b"".join(
                netlink.message(kind, netlink.NLM_F_REQUEST | _ACK | flags, first + place, body)
                for place, (kind, flags, body, _) in enumerate(requests)
            )
        )
        return first


def _u32(type: int, value: int) -> bytes:
    """A number as this machine writes it; netfilter's are in network byte order."""
    return attribute(type, struct.pack("=I", value))


def _mac(type: int, address: str) -> bytes:
    return attribute(type, bytes.fromhex(address.replace(":", "")))


def _link(index: int, flags: int, *attributes: bytes) -> bytes:
    return _LINK_HEADER.pack(0, 0, index, flags, flags) + b"".join(attributes)


def _route(
    to: IPNetwork, table: int, protocol: int, scope: int, kind: Kind | None, index: int | None
) -> bytes:
    family = Family(to.version)
    header = _ROUTE_HEADER.pack(
        family.number, to.prefixlen, 0, 0, table, protocol, scope, 0 if kind is None else kind, 0
    )
    destination = attribute(1, to.network_address.packed) if to.prefixlen else b""
    return header + destination + (_u32(4, index) if index is not None else b"")
