"""The routing rules and routes of a plan, and bringing the kernel to them.

A table for each peer: everything goes there, but for this node's own networks. A rule for each peer: marked
packets use its table.

IPv4's reverse-path check looks up where a packet's source would be sent to, with the packet's mark if
src_valid_mark is set; `arrived` marks lead it to a table of their own that names the interface. The packet
itself must not be led there: the check's lookup has the outgoing interface (or lo) for its incoming one
(fib_frontend.c: __fib_validate_source), so a rule for the true one jumps past.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import ip_network
from typing import Any, NamedTuple

from wellhead.ip import Family, IPNetwork
from wellhead.proxy.symmetric_return.plan import TUNNEL_DEVICE, Plan, networks
from wellhead.proxy.symmetric_return.rules import BY_LINK, BY_TUNNEL
from wellhead.proxy.sysctls import has_ipv6

PROTOCOL = 88
"""Marks our routes as ours (rtm_protocol): nobody's in iproute2's list, and not the node agent's."""

_PAST, _CHECK, _PEER, _END = 87, 88, 89, 90
"""Our rules' priorities: before those of a pod network that chooses routes by the pod's address."""

_TABLES = 0x57480000
_CHECK_TABLES = _TABLES + 0x8000
_TO_TABLE, _GOTO, _NOP = 1, 2, 3
_UNICAST, _THROW, _ONLINK, _LINK_SCOPE = 1, 9, 4, 253


class Rule(NamedTuple):
    """A routing rule."""

    family: Family
    priority: int
    action: int
    mark: int = 0
    mask: int = 0
    device: str = ""
    """The incoming interface; empty: any."""
    table: int = 0
    goto: int = 0


class Route(NamedTuple):
    """A route in a table of ours."""

    family: Family
    table: int
    to: IPNetwork
    gateway: str = ""
    devices: tuple[str, ...] = ()
    """Several: by any of them. None: look the destination up by the next rules (throw)."""


def rules(plan: Plan) -> frozenset[Rule]:
    """The rules of a plan."""
    return frozenset(_rules(plan))


def _rules(plan: Plan) -> Iterator[Rule]:
    mask = plan.marks.arrived | plan.marks.index_mask
    for how, devices in _arrivals(plan):
        arrived = plan.marks.arrived | plan.marks.of(how)
        yield Rule(Family.IPV4, _CHECK, _TO_TABLE, arrived, mask, table=_CHECK_TABLES + how)
        yield Rule(Family.IPV4, _END, _NOP)
        for device in devices:
            yield Rule(Family.IPV4, _PAST, _GOTO, arrived, mask, device, goto=_END)
    for peer in plan.peers:
        for way in peer.ways:
            family = Family(way.address.version)
            yield Rule(family, _PEER, _TO_TABLE, plan.marks.of(peer.index), mask, table=_TABLES + peer.index)


def routes(plan: Plan) -> frozenset[Route]:
    """The routes of a plan."""
    return frozenset(_routes(plan))


def _routes(plan: Plan) -> Iterator[Route]:
    for how, devices in _arrivals(plan):
        yield Route(Family.IPV4, _CHECK_TABLES + how, Family.IPV4.everywhere, devices=devices)
    for peer in plan.peers:
        for way in peer.ways:
            family, table = Family(way.address.version), _TABLES + peer.index
            yield Route(family, table, family.everywhere, str(way.address), (way.device,))
            # Where all.src_valid_mark is set, a pod's reply is checked with its mark: not a peer's either.
            for network in networks(family, plan.own):
                yield Route(family, table, network)


def _arrivals(plan: Plan) -> Iterator[tuple[int, tuple[str, ...]]]:
    if plan.tunnel is not None:
        yield BY_TUNNEL, (TUNNEL_DEVICE,)
    if plan.link_devices:
        yield BY_LINK, plan.link_devices


class Routing:
    """The rules and routes of ours that the kernel holds. `ip` is an IPRoute with strict_check."""

    def __init__(self, ip: Any) -> None:
        self._ip = ip
        self._indexes: dict[str, int] = {}
        self._names: dict[int, str] = {}
        for link in ip.get_links():
            self._indexes[link.get("ifname")] = link["index"]
            self._names[link["index"]] = link.get("ifname")

    def add(self, plan: Plan) -> bool:
        """Add what is missing, routes first. Returns whether anything was.

        Raises:
            pyroute2's NetlinkError, KeyError: an interface is gone; things have changed meanwhile.
        """
        held_routes, held_rules = self._routes(), self._rules()
        new_routes, new_rules = routes(plan) - held_routes, rules(plan) - held_rules
        in_the_way = {(each.family, each.table, each.to) for each in new_routes}
        for route in held_routes:
            if (route.family, route.table, route.to) in in_the_way and route not in routes(plan):
                self._route("del", route)
        for route in sorted(new_routes, key=str):
            self._route("add", route)
        for rule in sorted(new_rules, key=lambda each: -each.priority):
            self._rule("add", rule)
        return bool(new_routes or new_rules)

    def remove_others(self, plan: Plan) -> bool:
        """Remove what is ours and not of this plan, rules first. Returns whether there was anything."""
        old_rules, old_routes = self._rules() - rules(plan), self._routes() - routes(plan)
        for rule in sorted(old_rules):
            self._rule("del", rule)
        for route in old_routes:
            self._route("del", route)
        return bool(old_rules or old_routes)

    def _rule(self, command: str, rule: Rule) -> None:
        wanted: dict[str, Any] = {
            "family": rule.family.number,
            "priority": rule.priority,
            "action": rule.action,
        }
        if rule.mask:
            wanted |= {"fwmark": rule.mark, "fwmask": rule.mask}
        if rule.device:
            wanted["iifname"] = rule.device
        if rule.action == _TO_TABLE:
            wanted["table"] = rule.table
        if rule.action == _GOTO:
            wanted["goto"] = rule.goto
        self._ip.rule(command, **wanted)

    def _rules(self) -> frozenset[Rule]:
        found = set()
        for family in _families():
            for each in self._ip.get_rules(family=family.number):
                rule = Rule(
                    family,
                    each.get("priority") or 0,
                    each["action"],
                    each.get("fwmark") or 0,
                    each.get("fwmask") or 0,
                    each.get("iifname") or "",
                    (each.get("table") or 0) if each["action"] == _TO_TABLE else 0,
                    each.get("goto") or 0,
                )
                if _is_ours(rule):
                    found.add(rule)
        return frozenset(found)

    def _route(self, command: str, route: Route) -> None:
        wanted: dict[str, Any] = {
            "family": route.family.number,
            "table": route.table,
            "dst": str(route.to),
            "proto": PROTOCOL,
        }
        if not route.devices:
            wanted["type"] = _THROW
        elif route.gateway:
            wanted |= {"gateway": route.gateway, "oif": self._indexes[route.devices[0]], "flags": _ONLINK}
        elif len(route.devices) == 1:
            wanted |= {"oif": self._indexes[route.devices[0]], "scope": _LINK_SCOPE}
        else:
            wanted["scope"] = _LINK_SCOPE
            wanted["multipath"] = [{"oif": self._indexes[each]} for each in route.devices]
        self._ip.route(command, **wanted)

    def _routes(self) -> frozenset[Route]:
        found = set()
        for family in _families():
            for each in self._ip.route("dump", family=family.number, proto=PROTOCOL):
                table = each.get("table") or 0
                if each["proto"] == PROTOCOL and _TABLES <= table < _TABLES + 0x10000:
                    found.add(self._as_route(family, table, each))
        return frozenset(found)

    def _as_route(self, family: Family, table: int, held: Any) -> Route:
        to = held.get("dst")
        network = ip_network(f"{to}/{held['dst_len']}") if to else family.everywhere
        if held["type"] == _THROW:
            return Route(family, table, network)
        hops = held.get("multipath") or ()
        indexes: Iterable[int] = [each["oif"] for each in hops] or [held.get("oif")]
        devices = tuple(self._names.get(each, "?") for each in indexes)
        return Route(family, table, network, held.get("gateway") or "", devices)


def _families() -> tuple[Family, ...]:
    return tuple(Family) if has_ipv6() else (Family.IPV4,)


def _is_ours(rule: Rule) -> bool:
    match rule.action:
        case 1:
            return rule.priority in (_CHECK, _PEER) and _TABLES <= rule.table < _TABLES + 0x10000
        case 2:
            return rule.priority == _PAST and rule.goto == _END
        case 3:
            return rule.priority == _END
    return False
