"""Connection tracking: the flows that the kernel remembers, and making it forget some.

All of these block, and act in the network namespace of the calling thread. They raise OSError, or pyroute2's
NetlinkError, where conntrack can't be read.
"""

from __future__ import annotations

import errno
from collections.abc import Collection, Iterable, Iterator
from ipaddress import ip_address
from struct import Struct
from typing import Any, NamedTuple

from pyroute2 import NFCTSocket
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.nfnetlink.nfctsocket import NFCTAttrTuple

from wellhead.ip import Family, IPAddress, Protocol
from wellhead.linux.netlink import (
    NESTED,
    NETFILTER,
    NLM_F_DUMP,
    NLM_F_REQUEST,
    NLMSG_DONE,
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

# Of linux/netfilter/nfnetlink_conntrack.h: messages, attributes, and what a dump may be filtered by.
_GET, _DELETE = 0x0101, 0x0102
_TUPLE_ORIGINAL, _MARK, _ZONE, _MARK_MASK, _FILTER = 1, 8, 18, 21, 25
_TUPLE_IP, _TUPLE_PROTOCOL = 1, 2
_IPV4_DESTINATION, _IPV6_DESTINATION = 2, 4
_DESTINATIONS = {Family.IPV4: _IPV4_DESTINATION, Family.IPV6: _IPV6_DESTINATION}
_NUMBER, _DESTINATION_PORT = 1, 3
_ORIGINAL_FLAGS, _REPLY_FLAGS = 1, 2
_BY_DESTINATION, _BY_PROTOCOL, _BY_PORT = 1 << 1, 1 << 3, 1 << 5


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
    with NFCTSocket(nfgen_family=family.number) as conntrack:
        for each in to:
            # Kernels up to (at least) 6.18 compare IPv6 addresses the wrong way round here, and give every
            # flow but those asked for.
            address = str(each.ip) if each.ip is not None and family is Family.IPV4 else None
            number = each.protocol.number
            only = NFCTAttrTuple(family=family.number, daddr=address, proto=number, dport=each.port)
            for entry in conntrack.dump(tuple_orig=only):
                flow = _flow(family, entry)
                if flow is not None and each.ip in (None, flow.destination.ip):
                    yield flow


def all_flows(family: Family, protocol: Protocol | None = None) -> Iterator[Flow]:
    """The flows of a family, of one protocol or all."""
    only = NFCTAttrTuple(family=family.number, proto=protocol.number) if protocol is not None else None
    with NFCTSocket(nfgen_family=family.number) as conntrack:
        for entry in conntrack.dump(tuple_orig=only):
            if (flow := _flow(family, entry)) is not None:
                yield flow


def any_marked(marks: Iterable[int], mask: int = _FULL_MASK) -> bool:
    """Whether there is a flow, of either family, that has one of these marks under the mask."""
    with NFCTSocket(nfgen_family=_ANY_FAMILY) as conntrack:
        return any(True for each in marks for _ in conntrack.dump(mark=each, mark_mask=mask))


def forget(flow: Flow) -> bool:
    """Forget a flow, so that its next packet is decided anew. Returns whether it was still there."""
    return bool(forget_all((flow,)))


def forget_all(gone: Collection[Flow]) -> int:
    """Forget these flows. Returns how many were still there."""
    forgotten = 0
    for family in {flow.family for flow in gone}:
        with NFCTSocket(nfgen_family=family.number) as conntrack:
            for flow in gone:
                if flow.family is family:
                    try:
                        conntrack.entry("del", tuple_reply=_answer(flow))
                    except NetlinkError as error:
                        if error.code != errno.ENOENT:  # it ended by itself meanwhile
                            raise
                    else:
                        forgotten += 1
    return forgotten


def forget_dialled(family: Family, to: Iterable[Dialled], mark: int = 0, mask: int = _FULL_MASK) -> int:
    """Forget the flows to any of these that have this mark under the mask. Returns how many there were.

    The kernel looks at every flow for each, but tells only of those asked for, bit by bit; none is kept
    here. (IPv6's addresses it can't compare: there it tells of all to the port.)
    """
    forgotten = 0
    with Socket(NETFILTER) as asking, Socket(NETFILTER) as deleting:
        for each in to:
            asking.send(_dump(family, each, mark, mask))
            for gone in _dumped(asking, family, each):
                forgotten += len(gone)
                # Unacknowledged: one that ended by itself meanwhile is as good.
                deleting.send(
                    b"".join(
                        message(_DELETE, NLM_F_REQUEST, 0, _head(family) + attributes) for attributes in gone
                    )
                )
                deleting.waiting(lambda _: None)
    return forgotten


def forget_marked(marks: Iterable[int], mask: int = _FULL_MASK, family: Family | None = None) -> None:
    """Forget the flows that have one of these marks under the mask, in either role and all zones."""
    with NFCTSocket(nfgen_family=family.number if family else _ANY_FAMILY) as conntrack:
        for each in marks:
            conntrack.flush(mark=each, mark_mask=mask)


def _head(family: Family) -> bytes:
    return bytes((family.number, 0, 0, 0))  # struct nfgenmsg


def _dump(family: Family, to: Dialled, mark: int, mask: int) -> bytes:
    """The request for flows."""
    flags = _BY_PROTOCOL | _BY_PORT
    address = b""
    if to.ip is not None and family is Family.IPV4:
        flags |= _BY_DESTINATION
        address = nested(_TUPLE_IP, attribute(_IPV4_DESTINATION, to.ip.packed))
    protocol = nested(
        _TUPLE_PROTOCOL,
        attribute(_NUMBER, bytes((to.protocol.number,))),
        attribute(_DESTINATION_PORT, to.port.to_bytes(2, "big")),
    )
    word = Struct("=I").pack
    body = [
        _head(family),
        nested(_TUPLE_ORIGINAL, address or nested(_TUPLE_IP), protocol),
        nested(_FILTER, attribute(_ORIGINAL_FLAGS, word(flags)), attribute(_REPLY_FLAGS, word(0))),
        u32(_MARK, mark),
        u32(_MARK_MASK, mask),
    ]
    return message(_GET, NLM_F_REQUEST | NLM_F_DUMP, 0, b"".join(body))


def _dumped(asked: Socket, family: Family, to: Dialled) -> Iterator[list[bytes]]:
    """By what each of the flows in an answer can be named again, a datagram's together."""
    while True:
        found = []
        done = False
        for each in asked.receive():
            if each.kind == NLMSG_ERROR and (error := refusal(each)) is not None:
                raise error
            if each.kind in (NLMSG_ERROR, NLMSG_DONE):
                done = True
                continue
            held = parse(each.body[4:])
            original = held[_TUPLE_ORIGINAL]
            address = parse(parse(original)[_TUPLE_IP]).get(_DESTINATIONS[family], b"")
            if to.ip is None or bytes(address) == to.ip.packed:
                name = attribute(_TUPLE_ORIGINAL | NESTED, bytes(original))
                found.append(name + (attribute(_ZONE, bytes(held[_ZONE])) if _ZONE in held else b""))
        if found:
            yield found
        if done:
            return


def _flow(family: Family, entry: Any) -> Flow | None:
    """The flow, if it is one of this family and has ports."""
    original, reply = entry.get_attr("CTA_TUPLE_ORIG"), entry.get_attr("CTA_TUPLE_REPLY")
    if entry["nfgen_family"] != family.number or original is None or reply is None:
        return None
    protocol = _BY_NUMBER.get(original.get_attr("CTA_TUPLE_PROTO").get_attr("CTA_PROTO_NUM"))
    if protocol is None:
        return None
    version = f"CTA_IP_V{family.value}"

    def end(tuple: Any, which: str) -> End:
        address = tuple.get_attr("CTA_TUPLE_IP").get_attr(f"{version}_{which}")
        return End(ip_address(address), tuple.get_attr("CTA_TUPLE_PROTO").get_attr(f"CTA_PROTO_{which}_PORT"))

    mark = entry.get_attr("CTA_MARK") or 0
    return Flow(
        protocol, end(original, "SRC"), end(original, "DST"), end(reply, "SRC"), end(reply, "DST"), mark
    )


def _answer(flow: Flow) -> Any:
    """By its answer a flow is known in all zones: zones may be those of its original direction alone."""
    return NFCTAttrTuple(
        family=flow.family.number,
        proto=flow.protocol.number,
        saddr=str(flow.answered_by.ip),
        sport=flow.answered_by.port,
        daddr=str(flow.answered_to.ip),
        dport=flow.answered_to.port,
    )
