"""Connection tracking: the flows that the kernel remembers, and making it forget some.

All of these block, and act in the network namespace of the calling thread. They raise OSError where conntrack
can't be read. The requests are bytes: pyroute2, which could make them, takes 9 MB and a tenth of a second to
be imported. Source: linux/netfilter/nfnetlink_conntrack.h.
"""

from __future__ import annotations

import errno
from collections.abc import Collection, Iterable, Iterator
from ipaddress import ip_address
from struct import Struct
from typing import NamedTuple

from wellhead.ip import Family, IPAddress, Protocol
from wellhead.linux.netlink import (
    NESTED,
    NETFILTER,
    NLM_F_REQUEST,
    NLMSG_ERROR,
    Socket,
    attribute,
    message,
    nested,
    parse,
    refusal,
    u32,
)

_BY_NUMBER = {each.number: each for each in Protocol}
_FULL_MASK = 0xFFFFFFFF
_ANY_FAMILY = 0

_ACKNOWLEDGE = 0x4
_GET, _DELETE = 0x0101, 0x0102
_TUPLE_ORIGINAL, _TUPLE_REPLY, _MARK, _ZONE, _MARK_MASK, _FILTER = 1, 2, 8, 18, 21, 25
_TUPLE_IP, _TUPLE_PROTOCOL = 1, 2
_SOURCES = {Family.IPV4: 1, Family.IPV6: 3}
_DESTINATIONS = {Family.IPV4: 2, Family.IPV6: 4}
_NUMBER, _SOURCE_PORT, _DESTINATION_PORT = 1, 2, 3
_ORIGINAL_FLAGS, _REPLY_FLAGS = 1, 2
_BY_DESTINATION, _BY_PROTOCOL, _BY_PORT = 1 << 1, 1 << 3, 1 << 5
_WORD = Struct("=I")
_VERSION = 1
"""Of the message: with 0 the kernel forgets what is marked in all families, whichever is asked for."""


class End(NamedTuple):
    """One end of a flow."""

    ip: IPAddress
    port: int


class Dialled(NamedTuple):
    """What flows are asked for by."""

    protocol: Protocol
    ip: IPAddress | None
    """None: any."""
    port: int


class Flow(NamedTuple):
    """A flow as conntrack holds it."""

    protocol: Protocol
    source: End
    destination: End
    """What the source has dialled."""
    answered_by: End
    """Who answers, after translation; the destination itself where there was none."""
    answered_to: End
    """What the one who answers takes for its client."""
    mark: int

    @property
    def family(self) -> Family:
        return Family(self.source.ip.version)


def flows(family: Family, to: Iterable[Dialled]) -> Iterator[Flow]:
    """The flows of a family to any of these. The kernel looks at every flow for each: ask for few."""
    for each in to:
        for flow in _flows(family, _dialled(family, each)):
            if each.ip in (None, flow.destination.ip):
                yield flow


def all_flows(family: Family, protocol: Protocol | None = None) -> Iterator[Flow]:
    """The flows of a family, of one protocol or all."""
    return _flows(family, _filter(_BY_PROTOCOL, b"", _protocol(protocol)) if protocol is not None else b"")


def any_marked(marks: Iterable[int], mask: int = _FULL_MASK) -> bool:
    """Whether there is a flow, of either family, that has one of these marks under the mask."""
    return any(True for each in marks for _ in _dump(_ANY_FAMILY, _marked(each, mask)))


def forget(flow: Flow) -> bool:
    """Forget a flow, so that its next packet is decided anew. Returns whether it was still there."""
    return bool(forget_all((flow,)))


def forget_all(gone: Collection[Flow]) -> int:
    """Forget these flows. Returns how many were still there."""
    forgotten = 0
    for flow in gone:
        try:
            _delete(flow.family.number, _answer(flow))
        except OSError as error:
            if error.errno != errno.ENOENT:  # it ended by itself meanwhile
                raise
        else:
            forgotten += 1
    return forgotten


def forget_dialled(family: Family, to: Iterable[Dialled], mark: int = 0, mask: int = _FULL_MASK) -> None:
    """Forget the flows to any of these that have this mark under the mask.

    The kernel looks at every flow for each, but tells only of those asked for, bit by bit; none is kept
    here. (IPv6's addresses it can't compare: there it tells of all to the port.)
    """
    with Socket(NETFILTER) as deleting:
        for each in to:
            for held in _dump(family.number, _dialled(family, each) + _marked(mark, mask)):
                if name := _name(family, each, held):
                    # Unacknowledged: one that ended by itself meanwhile is as good.
                    deleting.send(message(_DELETE, NLM_F_REQUEST, 0, name))
                    deleting.waiting(lambda _: None)


def forget_marked(marks: Iterable[int], mask: int = _FULL_MASK, family: Family | None = None) -> None:
    """Forget the flows that have one of these marks under the mask, in either role and all zones."""
    for each in marks:
        _delete(family.number if family else _ANY_FAMILY, _marked(each, mask))


def _head(family: int) -> bytes:
    return bytes((family, _VERSION, 0, 0))  # struct nfgenmsg


def _delete(family: int, what: bytes) -> None:
    with Socket(NETFILTER) as deleting:
        deleting.send(message(_DELETE, NLM_F_REQUEST | _ACKNOWLEDGE, 0, _head(family) + what))
        for each in deleting.receive():
            if each.kind == NLMSG_ERROR and (error := refusal(each)) is not None:
                raise error


def _dump(family: int, only: bytes) -> Iterator[memoryview]:
    """The attributes of each flow."""
    head = _head(family)
    with Socket(NETFILTER) as asking:
        for each in asking.dump(_GET, head + only):
            yield each.body[len(head) :]


# ---- what is asked for


def _filter(flags: int, address: bytes, protocol: bytes) -> bytes:
    asked = nested(_FILTER, attribute(_ORIGINAL_FLAGS, _WORD.pack(flags)), attribute(_REPLY_FLAGS, bytes(4)))
    return nested(_TUPLE_ORIGINAL, nested(_TUPLE_IP, address), protocol) + asked


def _dialled(family: Family, to: Dialled) -> bytes:
    flags, address = _BY_PROTOCOL | _BY_PORT, b""
    # Kernels up to (at least) 6.18 compare IPv6 addresses the wrong way round here, and give every flow but
    # those asked for.
    if to.ip is not None and family is Family.IPV4:
        flags |= _BY_DESTINATION
        address = attribute(_DESTINATIONS[family], to.ip.packed)
    return _filter(flags, address, _protocol(to.protocol, _port(_DESTINATION_PORT, to.port)))


def _marked(mark: int, mask: int) -> bytes:
    return u32(_MARK, mark) + u32(_MARK_MASK, mask)


def _protocol(protocol: Protocol, *ports: bytes) -> bytes:
    return nested(_TUPLE_PROTOCOL, attribute(_NUMBER, bytes((protocol.number,))), *ports)


def _port(which: int, number: int) -> bytes:
    return attribute(which, number.to_bytes(2, "big"))


def _answer(flow: Flow) -> bytes:
    """By its answer a flow is known in all zones: zones may be those of its original direction alone."""
    source, destination = flow.answered_by, flow.answered_to
    addresses = nested(
        _TUPLE_IP,
        attribute(_SOURCES[flow.family], source.ip.packed),
        attribute(_DESTINATIONS[flow.family], destination.ip.packed),
    )
    ports = _port(_SOURCE_PORT, source.port), _port(_DESTINATION_PORT, destination.port)
    return nested(_TUPLE_REPLY, addresses, _protocol(flow.protocol, *ports))


# ---- what is told


def _name(family: Family, to: Dialled, held: memoryview) -> bytes:
    """A request's body that names the flow again, if it goes there."""
    found = parse(held)
    original = found[_TUPLE_ORIGINAL]
    address = parse(parse(original)[_TUPLE_IP]).get(_DESTINATIONS[family], b"")
    if to.ip is not None and bytes(address) != to.ip.packed:
        return b""
    name = _head(family.number) + attribute(_TUPLE_ORIGINAL | NESTED, bytes(original))
    return name + (attribute(_ZONE, bytes(found[_ZONE])) if _ZONE in found else b"")


def _flows(family: Family, only: bytes) -> Iterator[Flow]:
    for held in _dump(family.number, only):
        if (flow := _flow(family, held)) is not None:
            yield flow


def _flow(family: Family, held: memoryview) -> Flow | None:
    """The flow, if it has ports."""
    found = parse(held)
    ends: list[End] = []
    for direction in (_TUPLE_ORIGINAL, _TUPLE_REPLY):
        told = parse(found[direction])
        addresses, numbers = parse(told[_TUPLE_IP]), parse(told[_TUPLE_PROTOCOL])
        protocol = _BY_NUMBER.get(numbers[_NUMBER][0])
        if protocol is None or _SOURCES[family] not in addresses:
            return None
        for address, port in (
            (addresses[_SOURCES[family]], numbers[_SOURCE_PORT]),
            (addresses[_DESTINATIONS[family]], numbers[_DESTINATION_PORT]),
        ):
            ends.append(End(ip_address(bytes(address)), int.from_bytes(port, "big")))
    assert protocol is not None
    source, destination, answered_by, answered_to = ends
    mark = int.from_bytes(found.get(_MARK, b""), "big")
    return Flow(protocol, source, destination, answered_by, answered_to, mark)
