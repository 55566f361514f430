"""The routing rules and routes of a plan. Pure.

A table for each peer: everything goes there, but for this node's own networks. A rule for each peer: marked
packets use its table.

IPv4's reverse-path check looks up where a packet's source would be sent to, with the packet's mark if
src_valid_mark is set; `arrived` marks lead it to a table of their own that names the interface. The packet
itself must not be led there: the check's lookup has the outgoing interface (or lo) for its incoming one
(fib_frontend.c: __fib_validate_source), so a rule for the true one jumps past.
"""

from __future__ import annotations

from collections.abc import Iterator

from wellhead.ip import Family
from wellhead.linux.numbers import RETURN_CHECK_TABLES, RETURN_TABLES, TUNNEL_DEVICE, RulePriority
from wellhead.linux.routes import Action, Kind, Route, Rule
from wellhead.proxy.symmetric_return.plan import Plan, networks
from wellhead.proxy.symmetric_return.rules import BY_LINK, BY_TUNNEL

TABLES = frozenset((*RETURN_TABLES, *RETURN_CHECK_TABLES))


def rules(plan: Plan) -> frozenset[Rule]:
    """The rules of a plan."""
    return frozenset(_rules(plan))


def _rules(plan: Plan) -> Iterator[Rule]:
    mask = plan.marks.arrived | plan.marks.index_mask
    for how, devices in _arrivals(plan):
        arrived = plan.marks.arrived | plan.marks.of(how)
        yield Rule(Family.IPV4, RulePriority.RETURN_CHECK, mark=arrived, mask=mask, table=_check_table(how))
        yield Rule(Family.IPV4, RulePriority.RETURN_END, Action.NOP)
        for device in devices:
            yield Rule(
                Family.IPV4,
                RulePriority.RETURN_PAST,
                Action.GOTO,
                arrived,
                mask,
                device,
                goto=RulePriority.RETURN_END,
            )
    for peer in plan.peers:
        for way in peer.ways:
            family = Family(way.address.version)
            mark, table = plan.marks.of(peer.index), _table(peer.index)
            yield Rule(family, RulePriority.RETURN_PEER, mark=mark, mask=mask, table=table)


def routes(plan: Plan) -> frozenset[Route]:
    """The routes of a plan."""
    return frozenset(_routes(plan))


def _routes(plan: Plan) -> Iterator[Route]:
    for how, devices in _arrivals(plan):
        yield Route(Family.IPV4, _check_table(how), Family.IPV4.everywhere, devices=devices)
    for peer in plan.peers:
        for way in peer.ways:
            family, table = Family(way.address.version), _table(peer.index)
            yield Route(family, table, family.everywhere, way.address, (way.device,))
            # Where all.src_valid_mark is set, a pod's reply is checked with its mark: not a peer's either.
            for network in networks(family, plan.own):
                yield Route(family, table, network, kind=Kind.THROW)


def _arrivals(plan: Plan) -> Iterator[tuple[int, tuple[str, ...]]]:
    if plan.tunnel is not None:
        yield BY_TUNNEL, (TUNNEL_DEVICE,)
    if plan.link_devices:
        yield BY_LINK, plan.link_devices


def _table(index: int) -> int:
    return RETURN_TABLES[index - 1]


def _check_table(how: int) -> int:
    return RETURN_CHECK_TABLES[how - 1]
