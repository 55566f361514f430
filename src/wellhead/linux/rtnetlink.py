"""Requests about links, addresses, neighbours and routes, as bytes, and many of them in one call.

A pod's link takes some twenty, which pyroute2 makes and awaits one by one, at half a millisecond each.
Source: rtnetlink(7), linux/{rtnetlink,if_link,if_addr,neighbour,veth}.h.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Container, Iterator, Sequence
from ipaddress import ip_address
from typing import NamedTuple, Self

from wellhead.ip import Family, IPAddress, IPNetwork
from wellhead.linux import netlink
from wellhead.linux.netlink import Message, NetlinkError, RouteNews, attribute, nested, text
from wellhead.linux.routes import MAIN_TABLE, Kind

_ACK, _APPEND = 0x4, 0x800
REPLACE, EXCLUSIVE, CREATE = 0x100, 0x200, 0x400
_GET_LINK, _SET_LINK, _GET_NEIGHBOUR = 18, 19, 30
_UP = 1
_LINK_INFO, _NETNS_FD, _GROUP = 18, 28, 27
_PERMANENT, _SELF = 0x80, 0x02
_NO_NEIGHBOUR = (errno.ENOENT, errno.ESRCH, errno.ENODEV)
_NO_DUPLICATE_DETECTION = 0x02
_KERNEL, _STATIC = 2, 4
_UNIVERSE, _LINK, _HOST, _NOWHERE = 0, 253, 254, 255
_ONLINK, _MULTIPATH, _TABLE = 4, 9, 15
_LAST_SHORT_TABLE = 255
_NO_SUCH_FAMILY = (errno.EOPNOTSUPP, errno.EAFNOSUPPORT)
_AT_ONCE = 256
"""Requests in one call: their answers have to find room."""

_LINK_HEADER = struct.Struct("=BxHiII")
_ADDRESS_HEADER = struct.Struct("=BBBBI")
_NEIGHBOUR_HEADER = struct.Struct("=BxxxiHBB")
_ROUTE_HEADER = struct.Struct("=BBBBBBBBI")
_HOP_HEADER = struct.Struct("=HBBi")


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
    other = _link(0, 0, text(3, peer), _mac(1, peer_mac), u32(4, mtu), u32(_NETNS_FD, namespace))
    body = _link(
        0,
        0,
        text(3, name),
        _mac(1, mac),
        u32(4, mtu),
        u32(_GROUP, group),
        nested(_LINK_INFO, text(1, "veth"), nested(2, attribute(1, other))),
    )
    return Request(RouteNews.NEW_LINK, CREATE | EXCLUSIVE, body)


def set_up(index: int, *, mtu: int | None = None, group: int | None = None) -> Request:
    """Set a link up, and what else is given."""
    settings = [u32(4, mtu)] if mtu is not None else []
    if group is not None:
        settings.append(u32(_GROUP, group))
    return Request(_SET_LINK, 0, _link(index, _UP, *settings))


def put_address(index: int, address: IPAddress, prefix: int) -> Request:
    """Let a link have this address, usable at once (IFA_F_NODAD)."""
    family, packed = Family(address.version), address.packed
    flags = _NO_DUPLICATE_DETECTION if family is Family.IPV6 else 0
    parts = attribute(1, packed), attribute(2, packed)
    body = _ADDRESS_HEADER.pack(family.number, prefix, flags, _UNIVERSE, index) + b"".join(parts)
    return Request(RouteNews.NEW_ADDRESS, CREATE | REPLACE, body)


def put_neighbour(index: int, address: IPAddress, mac: str) -> Request:
    """Let a neighbour's hardware address be this, for good."""
    family = Family(address.version)
    body = _NEIGHBOUR_HEADER.pack(family.number, index, _PERMANENT, 0, 0)
    return Request(RouteNews.NEW_NEIGH, CREATE | REPLACE, body + attribute(1, address.packed) + _mac(2, mac))


def delete_neighbour(index: int, address: IPAddress) -> Request:
    """Delete a neighbour's entry, if there is one."""
    body = _NEIGHBOUR_HEADER.pack(Family(address.version).number, index, 0, 0, 0)
    return Request(RouteNews.DEL_NEIGH, 0, body + attribute(1, address.packed), _NO_NEIGHBOUR)


def add_forwarding(index: int, end: IPAddress, mac: str) -> Request:
    """Let a tunnel's device send what is for this hardware address to this end, for good."""
    body = _NEIGHBOUR_HEADER.pack(socket.AF_BRIDGE, index, _PERMANENT, _SELF, 0)
    return Request(
        RouteNews.NEW_NEIGH, CREATE | _APPEND, body + attribute(1, end.packed) + _mac(2, mac), (errno.EEXIST,)
    )


def delete_forwarding(index: int, end: IPAddress, mac: str) -> Request:
    """Send it there no longer, if that is so."""
    body = _NEIGHBOUR_HEADER.pack(socket.AF_BRIDGE, index, 0, _SELF, 0)
    return Request(RouteNews.DEL_NEIGH, 0, body + attribute(1, end.packed) + _mac(2, mac), _NO_NEIGHBOUR)


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
    onlink: bool = False,
    devices: Sequence[int] = (),
) -> Request:
    """Have this route, in place of one to the same network; by a link, or whichever leads to the gateway.

    `devices`: by any of these instead. `onlink`: the gateway is there, whatever else is known of it.
    """
    by_link = kind is Kind.UNICAST and gateway is None
    scope = _HOST if kind is Kind.LOCAL else _LINK if by_link else _UNIVERSE
    body = _route(to, table, protocol, scope, kind, index, _ONLINK if onlink else 0)
    if devices:
        hops = (_HOP_HEADER.pack(_HOP_HEADER.size, 0, 0, each) for each in devices)
        body += attribute(_MULTIPATH, b"".join(hops))
    if gateway is not None:
        body += attribute(5, gateway.packed)
    if source is not None:
        body += attribute(7, source.packed)
    if metric:
        body += u32(6, metric)
    return Request(RouteNews.NEW_ROUTE, CREATE | REPLACE, body)


def delete_route(
    to: IPNetwork,
    *,
    protocol: int,
    table: int = MAIN_TABLE,
    kind: Kind | None = None,
    gateway: IPAddress | None = None,
    index: int | None = None,
) -> Request:
    """Delete an owner's route to a network, if there is one; any, or as is said."""
    body = _route(to, table, protocol, _NOWHERE, kind, index)
    if gateway is not None:
        body += attribute(5, gateway.packed)
    return Request(RouteNews.DEL_ROUTE, 0, body, (errno.ESRCH, errno.ENOENT))


def delete_connected_route(index: int, to: IPNetwork) -> Request:
    """Delete the route that the kernel has made for an address."""
    scope = _LINK if Family(to.version) is Family.IPV4 else _NOWHERE
    return Request(RouteNews.DEL_ROUTE, 0, _route(to, MAIN_TABLE, _KERNEL, scope, None, index))


class Requests:
    """Makes requests in the network namespace of the thread that makes this. Calls block."""

    def __init__(self) -> None:
        self._socket = netlink.Socket(netlink.ROUTE)
        self._socket.be_strict()
        self._sequence = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def make(self, *requests: Request) -> None:
        """Make all of them, in this order. Raises NetlinkError: the first that was refused."""
        for refused in self.attempt(*requests):
            if refused is not None:
                raise refused

    def attempt(self, *requests: Request) -> list[NetlinkError | None]:
        """Make all of them, in this order; of each, why it was refused, or None."""
        said: list[NetlinkError | None] = []
        for start in range(0, len(requests), _AT_ONCE):
            some = requests[start : start + _AT_ONCE]
            for request, answer in zip(some, self._exchange(some, _ACK), strict=True):
                refused = isinstance(answer, NetlinkError) and answer.errno not in request.but
                said.append(answer if refused and isinstance(answer, NetlinkError) else None)
        return said

    def answers(self, questions: Sequence[Request]) -> Iterator[Message | NetlinkError]:
        """What the kernel answers to each, in this order."""
        for start in range(0, len(questions), _AT_ONCE):
            yield from self._exchange(questions[start : start + _AT_ONCE], 0)

    def _exchange(self, requests: Sequence[Request], flags: int) -> list[Message | NetlinkError]:
        first = self._send(requests, flags)
        found: dict[int, Message | NetlinkError] = {}
        while len(found) < len(requests):
            for message in self._socket.receive():
                place = message.sequence - first
                if 0 <= place < len(requests):
                    refused = netlink.refusal(message, place) if message.kind == netlink.NLMSG_ERROR else None
                    found[place] = message if refused is None else refused
        return [found[place] for place in range(len(requests))]

    def listing(self, kind: int, header: bytes) -> list[Message]:
        """All that the kernel has of a kind; those alone that are as `header` says. Raises NetlinkError."""
        first = self._send([Request(kind, netlink.NLM_F_DUMP, header)], 0)
        found: list[Message] = []
        while True:
            for message in self._socket.receive():
                if message.sequence != first:
                    continue
                if message.kind == netlink.NLMSG_DONE:
                    return found
                if message.kind == netlink.NLMSG_ERROR:
                    error = netlink.refusal(message)
                    if error is None or error.errno in _NO_SUCH_FAMILY:
                        return found
                    raise error
                found.append(message)

    def index(self, link: str, absent: Container[int] = (errno.ENODEV,)) -> int | None:
        """The number of a link; None if there is none of this name. Raises NetlinkError."""
        first = self._send([Request(_GET_LINK, 0, _link(0, 0, text(3, link)))], _ACK)
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

    def _send(self, requests: Sequence[Request], with_flags: int) -> int:
        first = self._sequence + 1
        self._sequence += len(requests)
        self._socket.send(
            b"".join(
                netlink.message(kind, netlink.NLM_F_REQUEST | with_flags | flags, first + place, body)
                for place, (kind, flags, body, _) in enumerate(requests)
            )
        )
        return first


def permanent_neighbours(asker: Requests, index: int, family: Family) -> Iterator[tuple[IPAddress, str]]:
    """A link's neighbours, of a family, whose hardware addresses were set for good."""
    yield from _entries(asker, index, family.number)


def forwardings(asker: Requests, index: int) -> Iterator[tuple[IPAddress, str]]:
    """Behind which end of a tunnel hardware addresses are, as far as that was set for good."""
    yield from _entries(asker, index, socket.AF_BRIDGE)


def _entries(asker: Requests, index: int, family: int) -> Iterator[tuple[IPAddress, str]]:
    # Only a bridge's entries are listed by link without an attribute for it.
    header = _NEIGHBOUR_HEADER.pack(family, index if family == socket.AF_BRIDGE else 0, 0, 0, 0)
    for message in asker.listing(_GET_NEIGHBOUR, header):
        _, at, state, _, _ = _NEIGHBOUR_HEADER.unpack_from(message.body)
        found = netlink.parse(message.body[_NEIGHBOUR_HEADER.size :])
        if at == index and state & _PERMANENT and 1 in found and 2 in found:
            yield ip_address(bytes(found[1])), found[2].hex(":")


def u32(type: int, value: int) -> bytes:
    """A number as this machine writes it; netfilter's are in network byte order."""
    return attribute(type, struct.pack("=I", value))


def _mac(type: int, address: str) -> bytes:
    return attribute(type, bytes.fromhex(address.replace(":", "")))


def _link(index: int, flags: int, *attributes: bytes) -> bytes:
    return _LINK_HEADER.pack(0, 0, index, flags, flags) + b"".join(attributes)


def _route(
    to: IPNetwork,
    table: int,
    protocol: int,
    scope: int,
    kind: Kind | None,
    index: int | None,
    flags: int = 0,
) -> bytes:
    number, family = 0 if kind is None else kind, Family(to.version)
    short = table if table <= _LAST_SHORT_TABLE else 0
    body = _ROUTE_HEADER.pack(family.number, to.prefixlen, 0, 0, short, protocol, scope, number, flags)
    if to.prefixlen:
        body += attribute(1, to.network_address.packed)
    if index is not None:
        body += u32(4, index)
    if table > _LAST_SHORT_TABLE:
        body += u32(_TABLE, table)
    return body
