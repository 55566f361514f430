"""Forget the UDP flows that conntrack would go on sending where no host port sends them any more.

A UDP flow has no end: as long as its client sends, conntrack translates it as on its first packet, or, if
nobody had the port then, not at all. TCP connections break or end by themselves.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable

from wellhead.ip import Family, Protocol, family_of
from wellhead.linux import conntrack
from wellhead.linux.conntrack import Dialled, End
from wellhead.linux.routing import local_addresses
from wellhead.node.network.host_ports import HostPort

_log = logging.getLogger(__name__)


async def forget_udp_flows(changed: Collection[HostPort], valid: Iterable[HostPort]) -> None:
    """Have the flows to these host ports decided anew, but for those that go where a `valid` one leads.

    What goes wrong is logged: it costs the flow's client a pause, and nobody else anything.
    """
    ports = {(family_of(each.pod_ip), each.port) for each in changed if each.protocol == "udp"}
    if not ports:
        return
    goals = {End(each.pod_ip, each.pod_port) for each in valid}
    try:
        await asyncio.to_thread(_forget, ports, goals)
    except OSError as error:
        _log.warning("UDP flows to former host ports may go on for a while: %s", error)


def _forget(ports: Iterable[tuple[Family, int]], goals: Collection[End]) -> None:
    for family, port in ports:
        here = local_addresses(family)
        stale = [
            flow
            for flow in conntrack.flows(family, [Dialled(Protocol.UDP, None, port)])
            if (flow.destination.ip in here or flow.destination.ip.is_loopback)
            and flow.destination.port == port
            and flow.answered_by not in goals
        ]
        conntrack.forget_all(stale)
