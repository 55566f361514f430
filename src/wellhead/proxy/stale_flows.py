"""Forget flows that conntrack would go on sending where no Service sends them any more.

A UDP flow has no end: as long as its client sends, conntrack translates it as on its first packet, or, if
there was no endpoint then, not at all. TCP connections break or end by themselves and are left alone, but for
one kind: whoever dials a load balancer's or an external address before this node knows of it makes a flow
that isn't translated, and each repetition of the first packet belongs to it, for two minutes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from wellhead.ip import Family, IPAddress, Protocol
from wellhead.linux import conntrack
from wellhead.linux.conntrack import Dialled, Flow
from wellhead.linux.routing import local_addresses
from wellhead.services.endpointslice import EndpointAddress
from wellhead.services.names import FrontendKind
from wellhead.services.view import PortView

log = logging.getLogger(__name__)

_NOWHERE: frozenset[IPAddress] = frozenset()
_FROM_OUTSIDE = (FrontendKind.LOAD_BALANCER_IP, FrontendKind.EXTERNAL_IP)
_FILTERED_DUMPS = 16
"""Up to so many ports the kernel is asked for the flows to each; beyond, once for all UDP flows."""


class Destination(NamedTuple):
    """Where a flow was sent to; `address` None: to a node port, on whichever address of the node."""

    address: IPAddress | None
    port: int


class Usable(NamedTuple):
    """Where flows to one destination may go on to."""

    endpoints: frozenset[EndpointAddress] = frozenset()
    astray: frozenset[IPAddress] = frozenset()
    """Of these, addresses whose replies came back though the source was kept, and do no longer."""


Valid = Mapping[Destination, Usable]
"""Where flows may go on to, by destination; nowhere when empty."""


def may_be_to(view: PortView | None) -> bool:
    """Whether flows to a port can be stale, or have been dialled early: few ports have any such frontend."""
    if view is None:
        return False
    return view.protocol is Protocol.UDP or any(kind in _FROM_OUTSIDE for kind, _ in view.frontends)


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
                valid[where] = Usable(frozenset(view.serving), astray) if allowed else Usable()
    return valid


def dialled_early(
    family: Family, changes: Iterable[tuple[PortView | None, PortView | None]]
) -> frozenset[tuple[IPAddress, int]]:
    """The TCP frontends on load balancers' and external addresses that are new after `changes`."""
    found: set[tuple[IPAddress, int]] = set()
    known: set[tuple[IPAddress, int]] = set()
    for before, after in changes:
        for view, into in ((before, known), (after, found)):
            if view is not None and view.key.family == family:
                into |= {
                    (frontend.address, frontend.port)
                    for kind, frontend in view.frontends
                    if frontend.protocol is Protocol.TCP
                    and frontend.address is not None
                    and kind in _FROM_OUTSIDE
                }
    return frozenset(found - known)


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
    answered_by = EndpointAddress(flow.answered_by.ip.packed, flow.answered_by.port)
    preserved = flow.answered_to.ip == flow.source.ip  # the endpoint sees the source's address as it is
    return answered_by not in usable.endpoints or (preserved and answered_by.ip in usable.astray)


async def delete_stale_flows(family: Family, valid: Valid) -> int:
    """Delete the conntrack entries of all stale flows in this network namespace. Returns how many.

    Raises:
        OSError: conntrack can't be read.
    """
    if not valid:
        return 0
    return await asyncio.to_thread(_delete_stale_flows, family, valid)


async def delete_early_flows(family: Family, early: frozenset[tuple[IPAddress, int]]) -> int:
    """Delete the entries of flows to these that aren't translated. Returns how many there were.

    When there are many, as at a start, it isn't done: the kernel looks at every flow for each.

    Raises:
        OSError: conntrack can't be read.
    """
    if not 0 < len(early) <= _FILTERED_DUMPS:
        return 0
    return await asyncio.to_thread(_delete_early_flows, family, early)


def _delete_early_flows(family: Family, early: frozenset[tuple[IPAddress, int]]) -> int:
    found = conntrack.flows(family, (Dialled(Protocol.TCP, ip, port) for ip, port in sorted(early)))
    return conntrack.forget_all({each for each in found if each.answered_by == each.destination})


def _delete_stale_flows(family: Family, valid: Valid) -> int:
    node_addresses: frozenset[IPAddress] = frozenset()
    if any(where.address is None for where in valid):
        node_addresses = local_addresses(family)
    ports = {where.port for where in valid}
    if len(ports) <= _FILTERED_DUMPS:
        found = conntrack.flows(family, (Dialled(Protocol.UDP, None, each) for each in ports))
    else:
        found = conntrack.all_flows(family, Protocol.UDP)
    stale = {each for each in found if is_stale(each, valid, node_addresses)}
    for each in sorted(stale):
        log.debug(
            "forget the flow from %s to %s, answered by %s", each.source, each.destination, each.answered_by
        )
    return conntrack.forget_all(stale)
