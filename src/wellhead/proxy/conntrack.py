"""Forget UDP flows that conntrack would go on sending where no Service sends them any more.

A UDP flow has no end: as long as its client sends, conntrack translates it as on its first packet, or, if
there was no endpoint then, not at all. TCP connections break or end by themselves and are left alone.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address
from typing import Any, NamedTuple

from pyroute2 import NFCTSocket
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.nfnetlink.nfctsocket import NFCTAttrTuple

from wellhead.ip import Family, IPAddress, Protocol
from wellhead.proxy.addresses import local_addresses
from wellhead.services.endpointslice import EndpointAddress
from wellhead.services.view import PortView

log = logging.getLogger(__name__)

_AF = {Family.IPV4: socket.AF_INET, Family.IPV6: socket.AF_INET6}
_TO = {Family.IPV4: "CTA_IP_V4_DST", Family.IPV6: "CTA_IP_V6_DST"}
_FROM = {Family.IPV4: "CTA_IP_V4_SRC", Family.IPV6: "CTA_IP_V6_SRC"}

_NOWHERE: frozenset[IPAddress] = frozenset()
_FILTERED_DUMPS = 16
"""Up to so many ports the kernel is asked for the flows to each; beyond, once for all UDP flows."""


class Destination(NamedTuple):
    """Where a flow was sent to; `address` None: to a node port, on whichever address of the node."""

    address: IPAddress | None
    port: int


class Flow(NamedTuple):
    """A UDP flow as conntrack holds it."""

    source: EndpointAddress
    destination: EndpointAddress
    answered_by: EndpointAddress
    """The endpoint, after translation; the destination itself where there was none."""
    answered_to: EndpointAddress
    """What the endpoint takes for its client."""

    @property
    def preserved(self) -> bool:
        """Whether the endpoint sees the source's address as it is."""
        return self.answered_to.ip == self.source.ip


class Usable(NamedTuple):
    """Where flows to one destination may go on to."""

    endpoints: frozenset[EndpointAddress] = frozenset()
    astray: frozenset[IPAddress] = frozenset()
    """Of these, addresses whose replies came back though the source was kept, and do no longer."""


Valid = Mapping[Destination, Usable]
"""Where flows may go on to, by destination; nowhere when empty."""


def valid_flows(family: Family, changes: Iterable[tuple[PortView | None, PortView | None]]) -> Valid:
    """Of the UDP frontends that `changes` (before, after) touch, where their flows may go on to.

    Policies, hints and readiness don't matter: what changes them is no reason to break a flow to an endpoint
    that still serves. A frontend that nobody holds any more has nowhere to go.
    """
    pairs = list(changes)
    valid: dict[Destination, Usable] = {}
    views = [(before, False, _NOWHERE) for before, _ in pairs]
    views += [(after, True, _astray(before, after)) for before, after in pairs]
    for view, allowed, astray in views:
        if view is None or view.key.family != family:
            continue
        for _, frontend in view.frontends:
            if frontend.protocol is Protocol.UDP:
                where = Destination(frontend.address, frontend.port)
                valid[where] = Usable(view.serving, astray) if allowed else Usable()
    return valid


def _astray(before: PortView | None, after: PortView | None) -> frozenset[IPAddress]:
    if before is None or after is None or before.preserved is None or after.preserved is None:
        return frozenset()  # not being asked to any more is no reason to break a flow
    still_used = {each.ip for each in after.cluster}
    return frozenset(before.preserved.returning) & still_used - set(after.preserved.returning)


def is_stale(flow: Flow, valid: Valid, node_addresses: frozenset[IPAddress]) -> bool:
    """Whether a flow was sent to one of these frontends and goes where it may not go on to."""
    usable = valid.get(Destination(flow.destination.ip, flow.destination.port))
    if usable is None and flow.destination.ip in node_addresses:
        usable = valid.get(Destination(None, flow.destination.port))
    if usable is None:
        return False
    return flow.answered_by not in usable.endpoints or (
        flow.preserved and flow.answered_by.ip in usable.astray
    )


async def delete_stale_flows(family: Family, valid: Valid) -> int:
    """Delete the conntrack entries of all stale flows in this network namespace. Returns how many.

    Raises:
        OSError, NetlinkError: conntrack can't be read.
    """
    if not valid:
        return 0
    return await asyncio.to_thread(_delete_stale_flows, family, valid)


def _delete_stale_flows(family: Family, valid: Valid) -> int:
    node_addresses: frozenset[IPAddress] = frozenset()
    if any(where.address is None for where in valid):
        node_addresses = local_addresses(family)
    deleted = 0
    with NFCTSocket(nfgen_family=_AF[family]) as conntrack:
        stale = {flow for flow in _flows(conntrack, family, valid) if is_stale(flow, valid, node_addresses)}
        for flow in sorted(stale):
            try:
                conntrack.entry("del", tuple_reply=_answer(family, flow))
            except NetlinkError as error:
                if error.code != 2:  # ENOENT: it ended by itself meanwhile
                    raise
            else:
                deleted += 1
                log.debug("forgot the flow from %s to %s, answered by %s", *flow[:3])
    return deleted


def _flows(conntrack: NFCTSocket, family: Family, valid: Valid) -> Iterator[Flow]:
    # By port alone: kernels up to (at least) 6.18 compare IPv6 addresses the wrong way round here, and give
    # every flow but the ones asked for. What the port lets through is looked at below.
    wanted = [
        NFCTAttrTuple(family=_AF[family], proto=socket.IPPROTO_UDP, dport=port)
        for port in {where.port for where in valid}
    ]
    if len(wanted) > _FILTERED_DUMPS:
        wanted = [NFCTAttrTuple(family=_AF[family], proto=socket.IPPROTO_UDP)]
    for filtered in wanted:
        for entry in conntrack.dump(tuple_orig=filtered):
            if (flow := _flow(family, entry)) is not None:
                yield flow


def _flow(family: Family, entry: Any) -> Flow | None:
    original, reply = entry.get_attr("CTA_TUPLE_ORIG"), entry.get_attr("CTA_TUPLE_REPLY")
    if original is None or reply is None:
        return None
    ip, proto = original.get_attr("CTA_TUPLE_IP"), original.get_attr("CTA_TUPLE_PROTO")
    if proto.get_attr("CTA_PROTO_NUM") != socket.IPPROTO_UDP or ip.get_attr(_TO[family]) is None:
        return None

    def end(of: Any, address: str, port: str) -> EndpointAddress:
        found = ip_address(of.get_attr("CTA_TUPLE_IP").get_attr(address))
        return EndpointAddress(found, of.get_attr("CTA_TUPLE_PROTO").get_attr(port))

    source = end(original, _FROM[family], "CTA_PROTO_SRC_PORT")
    return Flow(
        source=source,
        destination=end(original, _TO[family], "CTA_PROTO_DST_PORT"),
        answered_by=end(reply, _FROM[family], "CTA_PROTO_SRC_PORT"),
        answered_to=end(reply, _TO[family], "CTA_PROTO_DST_PORT"),
    )


def _answer(family: Family, flow: Flow) -> NFCTAttrTuple:
    """By the answer a flow is known in all zones: peers' zones are those of its original direction alone."""
    return NFCTAttrTuple(
        family=_AF[family],
        proto=socket.IPPROTO_UDP,
        saddr=str(flow.answered_by.ip),
        sport=flow.answered_by.port,
        daddr=str(flow.answered_to.ip),
        dport=flow.answered_to.port,
    )
