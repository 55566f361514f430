"""Routing rules and routes as values, and bringing the kernel to those that one owner wants.

An owner is a protocol number (`numbers.RouteOwner`), which every rule and route of its carries: what has
another's number is never changed, not even in the same table.
"""

from __future__ import annotations

import enum
import errno
from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, NamedTuple

from wellhead.ip import Family, IPAddress, IPNetwork, family_of
from wellhead.linux import netlink, pyroute2
from wellhead.linux.netlink import parse
from wellhead.linux.numbers import RouteOwner

MAIN_TABLE, LOCAL_TABLE = 254, 255

_GET_ADDRESS = 22
_ADDRESS_HEADER = 8  # bytes of struct ifaddrmsg
_ADDRESS, _LOCAL = 1, 2

_ONLINK = 4
_LINK_SCOPE, _HOST_SCOPE = 253, 254
_GONE = {errno.ENOENT, errno.ESRCH}


class Action(enum.IntEnum):
    """What a rule does with packets (FR_ACT_…)."""

    TO_TABLE = 1
    GOTO = 2
    NOP = 3
    BLACKHOLE = 6
    """They vanish, and nobody is told."""


class Kind(enum.IntEnum):
    """What a route does with packets (RTN_…)."""

    UNICAST = 1
    LOCAL = 2
    """They are for this machine."""
    UNREACHABLE = 7
    THROW = 9
    """The next rules decide."""


class Rule(NamedTuple):
    """A routing rule. What is empty matches everything."""

    family: Family
    priority: int
    action: Action = Action.TO_TABLE
    mark: int = 0
    mask: int = 0
    device: str = ""
    """The incoming interface; `lo`: what the machine itself sends."""
    to: IPNetwork | None = None
    table: int = 0
    goto: int = 0


class Route(NamedTuple):
    """A route."""

    family: Family
    table: int
    to: IPNetwork
    gateway: IPAddress | None = None
    devices: tuple[str, ...] = ()
    """Several: by any of them. None, with a gateway: by whichever leads there."""
    kind: Kind = Kind.UNICAST


@contextmanager
def routing() -> Iterator[Any]:
    """An IPRoute of the calling thread's network namespace, whose dumps the kernel filters."""
    with pyroute2.IPRoute(strict_check=True) as ip:
        yield ip


def has_ipv6() -> bool:
    """Whether this kernel speaks IPv6."""
    return Path("/proc/sys/net/ipv6").exists()


def families() -> tuple[Family, ...]:
    """Those that this kernel speaks."""
    return tuple(Family) if has_ipv6() else (Family.IPV4,)


def local_addresses(family: Family) -> frozenset[IPAddress]:
    """The addresses that this network namespace has. Blocks for the time of a dump."""
    with netlink.Socket(netlink.ROUTE) as socket:
        body = bytes((family.number,)).ljust(_ADDRESS_HEADER, b"\0")
        found = [parse(each.body[_ADDRESS_HEADER:]) for each in socket.dump(_GET_ADDRESS, body)]
    return frozenset(ip_address(bytes(each.get(_LOCAL) or each[_ADDRESS])) for each in found)


def hardware_address(ip: Any, link: int, neighbour: IPAddress) -> frozenset[str]:
    """What the kernel knows of a neighbour on the link of this index: its hardware address, or nothing."""
    try:
        found = list(ip.neigh("get", dst=str(neighbour), ifindex=link, family=family_of(neighbour).number))
    except pyroute2.NetlinkError as error:
        if error.code not in _GONE:
            raise
        return frozenset()
    return frozenset(entry.get("lladdr") for entry in found if entry.get("lladdr"))


class Owned:
    """One owner's rules and routes, in `tables`. `ip` is an IPRoute with strict_check.

    Rules that lead to no table are the owner's by their protocol number alone; a number may be somebody
    else's too, who has never heard of us, and then it is the tables that tell.
    """

    def __init__(
        self, ip: Any, owner: RouteOwner, tables: Container[int], of: Iterable[Family] | None = None
    ) -> None:
        self._ip = ip
        self._owner = owner
        self._tables = tables
        self._families = families() if of is None else tuple(of)
        self._names: dict[int, str] = {link["index"]: link.get("ifname") for link in ip.get_links()}
        self._indexes = {name: index for index, name in self._names.items()}

    def rules(self) -> frozenset[Rule]:
        """The rules that the kernel holds."""
        found = (
            _as_rule(family, each)
            for family in self._families
            for each in self._ip.get_rules(family=family.number)
            if each.get("protocol") == self._owner
        )
        return frozenset(
            each for each in found if each.action is not Action.TO_TABLE or each.table in self._tables
        )

    def routes(self) -> frozenset[Route]:
        """The routes that the kernel holds."""
        return frozenset(
            self._as_route(family, each)
            for family in self._families
            for each in self._ip.route("dump", family=family.number, proto=int(self._owner))
            if each["proto"] == self._owner and each.get("table") in self._tables
        )

    def add(self, rules: Iterable[Rule], routes: Iterable[Route]) -> bool:
        """Add what is missing, routes first. Returns whether anything was.

        Raises:
            NetlinkError: one was refused. KeyError: an interface is gone.
        """
        wanted = tuple(routes)
        held = {(each.family, each.table, each.to): each for each in self.routes()}
        new = [each for each in wanted if not _same(each, held.get((each.family, each.table, each.to)))]
        for route in sorted(new, key=str):
            if (old := held.get((route.family, route.table, route.to))) is not None:
                self.delete(old)
            self.replace(route)
        new_rules = frozenset(rules) - self.rules()
        for rule in sorted(new_rules, key=lambda each: -each.priority):
            self.add_rule(rule)
        return bool(new or new_rules)

    def remove_others(self, rules: Iterable[Rule], routes: Iterable[Route]) -> bool:
        """Remove all but these, rules first. Returns whether there was anything."""
        kept = {(each.family, each.table, each.to): each for each in routes}
        old_rules = self.rules() - frozenset(rules)
        old = [
            each
            for each in self.routes()
            if not ((wanted := kept.get((each.family, each.table, each.to))) and _same(wanted, each))
        ]
        for rule in old_rules:
            self.delete_rule(rule)
        for route in old:
            self.delete(route)
        return bool(old_rules or old)

    def add_rule(self, rule: Rule) -> None:
        """Add a rule. Raises NetlinkError with EEXIST if it is there, whoever's it is."""
        self._ip.rule("add", protocol=int(self._owner), **_rule(rule))

    def delete_rule(self, rule: Rule) -> None:
        """Delete a rule, if it is there."""
        _unless_gone(lambda: self._ip.rule("del", protocol=int(self._owner), **_rule(rule)))

    def replace(self, route: Route) -> None:
        """Have this route, in place of any to the same network in the same table."""
        self._ip.route("replace", **self._route(route))

    def delete(self, route: Route) -> None:
        """Delete a route, if it is there."""
        _unless_gone(lambda: self._ip.route("del", **self._route(route)))

    def _route(self, route: Route) -> dict[str, Any]:
        wanted: dict[str, Any] = {
            "family": route.family.number,
            "table": route.table,
            "dst": str(route.to),
            "proto": int(self._owner),
        }
        indexes = [self._indexes[each] for each in route.devices]
        if route.kind is not Kind.UNICAST:
            wanted["type"] = int(route.kind)
        if route.kind is Kind.LOCAL:
            wanted["scope"] = _HOST_SCOPE
        if route.gateway is not None:
            wanted["gateway"] = str(route.gateway)
            if indexes:
                wanted["flags"] = _ONLINK
        elif route.kind is Kind.UNICAST:
            wanted["scope"] = _LINK_SCOPE
        if len(indexes) == 1:
            wanted["oif"] = indexes[0]
        elif indexes:
            wanted["multipath"] = [{"oif": each} for each in indexes]
        return wanted

    def _as_route(self, family: Family, held: Any) -> Route:
        to, gateway = held.get("dst"), held.get("gateway")
        kind = Kind(held["type"])
        devices: tuple[str, ...] = ()
        if kind in (Kind.UNICAST, Kind.LOCAL):
            hops = held.get("multipath") or ()
            devices = tuple(
                self._names.get(each, "?") for each in [hop["oif"] for hop in hops] or [held.get("oif")]
            )
        return Route(
            family,
            held.get("table") or 0,
            ip_network(f"{to}/{held['dst_len']}") if to else family.everywhere,
            ip_address(gateway) if gateway else None,
            devices,
            kind,
        )


def _same(wanted: Route, held: Route | None) -> bool:
    if held is None:
        return False
    return held == wanted or (not wanted.devices and held._replace(devices=()) == wanted)


def _rule(rule: Rule) -> dict[str, Any]:
    found: dict[str, Any] = {
        "family": rule.family.number,
        "priority": rule.priority,
        "action": int(rule.action),
    }
    if rule.mask:
        found |= {"fwmark": rule.mark, "fwmask": rule.mask}
    if rule.device:
        found["iifname"] = rule.device
    if rule.to is not None:
        found |= {"dst": str(rule.to.network_address), "dst_len": rule.to.prefixlen}
    if rule.action is Action.TO_TABLE:
        found["table"] = rule.table
    if rule.action is Action.GOTO:
        found["goto"] = rule.goto
    return found


def _as_rule(family: Family, held: Any) -> Rule:
    to = held.get("dst")
    action = Action(held["action"])
    return Rule(
        family,
        held.get("priority") or 0,
        action,
        held.get("fwmark") or 0,
        held.get("fwmask") or 0,
        held.get("iifname") or "",
        ip_network(f"{to}/{held['dst_len']}") if to else None,
        (held.get("table") or 0) if action is Action.TO_TABLE else 0,
        held.get("goto") or 0,
    )


def _unless_gone(work: Any) -> None:
    try:
        work()
    except pyroute2.NetlinkError as error:
        if error.code not in _GONE:
            raise
