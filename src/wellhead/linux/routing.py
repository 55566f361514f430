"""Routing as the kernel has it: one owner's rules and routes, and what it says of the way to somebody.

An owner is a protocol number (`numbers.RouteOwner`), which every rule and route of its carries: what has
another's number is never changed, not even in the same table. Source: rtnetlink(7),
linux/{rtnetlink,fib_rules}.h.
"""

from __future__ import annotations

import errno
import struct
import sys
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from ipaddress import ip_address, ip_network

from wellhead.ip import Family, IPAddress, IPNetwork
from wellhead.linux import netlink, rtnetlink
from wellhead.linux.netlink import Message, NetlinkError, RouteNews, attribute, text
from wellhead.linux.numbers import RouteOwner
from wellhead.linux.routes import Action, Interface, Kind, Route, Rule, families
from wellhead.linux.rtnetlink import Request, Requests

_GET_LINK, _GET_ADDRESS, _GET_ROUTE, _GET_NEIGH, _GET_RULE = 18, 22, 26, 30, 34

_RULE = struct.Struct("=BBBBBBBBI")  # struct fib_rule_hdr
_ROUTE = struct.Struct("=BBBBBBBBI")  # struct rtmsg
_ADDRESS = struct.Struct("=BBBBI")  # struct ifaddrmsg
_LINK = struct.Struct("=BxHiII")  # struct ifinfomsg
_NEIGHBOUR = struct.Struct("=BxxxiHBB")  # struct ndmsg
_HOP = struct.Struct("=HBBi")  # struct rtnexthop

_FRA_DST, _FRA_IIFNAME, _FRA_GOTO, _FRA_PRIORITY, _FRA_FWMARK, _FRA_TABLE, _FRA_FWMASK, _FRA_PROTOCOL = (
    1, 3, 4, 6, 10, 15, 16, 21,
)  # fmt: skip
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_MULTIPATH, _RTA_TABLE = 1, 4, 5, 9, 15
_NDA_DST, _NDA_LLADDR = 1, 2
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _ETHERNET = 1, 3, 4, 1
_IFLA_LINKINFO, _IFLA_INFO_KIND, _IFLA_INFO_DATA = 18, 1, 2
_SHOWS = {Family.IPV4: 36, Family.IPV6: 37}  # IFLA_BR_NF_CALL_IPTABLES, _IP6TABLES
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_GONE = (errno.ENOENT, errno.ESRCH)


def links(asker: Requests) -> dict[int, Interface]:
    """The interfaces by their index."""
    found = {}
    for message in asker.listing(_GET_LINK, _LINK.pack(0, 0, 0, 0, 0)):
        _, kind, index, _, _ = _LINK.unpack_from(message.body)
        parts = netlink.parse(message.body[_LINK.size :])
        mac = parts.get(_IFLA_ADDRESS) if kind == _ETHERNET else None
        name, mtu = netlink.string(parts[_IFLA_IFNAME]), _number(parts.get(_IFLA_MTU))
        found[index] = Interface(name, mac.hex(":") if mac else "", mtu)
    return found


def bridges(asker: Requests) -> dict[int, frozenset[Family]]:
    """The bridges by their index; of each, whose packets it shows to netfilter by a setting of its own."""
    found = {}
    for message in asker.listing(_GET_LINK, _LINK.pack(0, 0, 0, 0, 0)):
        parts = netlink.parse(message.body[_LINK.size :])
        info = netlink.parse(parts[_IFLA_LINKINFO]) if _IFLA_LINKINFO in parts else {}
        if _IFLA_INFO_KIND in info and netlink.string(info[_IFLA_INFO_KIND]) == "bridge":
            (index,) = struct.unpack_from("=4xi", message.body)
            own = netlink.parse(info[_IFLA_INFO_DATA]) if _IFLA_INFO_DATA in info else {}
            found[index] = frozenset(each for each, what in _SHOWS.items() if _number(own.get(what)))
    return found


def addresses(asker: Requests, family: Family) -> Iterator[tuple[IPAddress, int]]:
    """The addresses of a family, and which interface has each, by its index."""
    for message in asker.listing(_GET_ADDRESS, _ADDRESS.pack(family.number, 0, 0, 0, 0)):
        *_, index = _ADDRESS.unpack_from(message.body)
        parts = netlink.parse(message.body[_ADDRESS.size :])
        if address := _ip(parts.get(_IFA_LOCAL) or parts.get(_IFA_ADDRESS)):
            yield address, index


def local_addresses(family: Family) -> frozenset[IPAddress]:
    """The addresses that the calling thread's network namespace has. Blocks for the time of a list."""
    with Requests() as asker:
        return frozenset(address for address, _ in addresses(asker, family))


def next_hops(asker: Requests, to: Sequence[IPAddress]) -> Iterator[tuple[int, IPAddress | None]]:
    """Which interface, by its index, and which gateway, if any, lead to each of these; 0: none does."""
    for answer in asker.answers([_question(each) for each in to]):
        if isinstance(answer, NetlinkError):
            yield 0, None
            continue
        found = netlink.parse(answer.body[_ROUTE.size :])
        yield _number(found.get(_RTA_OIF)), _ip(found.get(_RTA_GATEWAY))


def _question(to: IPAddress) -> Request:
    header = _ROUTE.pack(Family(to.version).number, to.max_prefixlen, 0, 0, 0, 0, 0, 0, 0)
    return Request(_GET_ROUTE, 0, header + attribute(_RTA_DST, to.packed))


def hardware_addresses(asker: Requests, link: int, neighbours: Sequence[IPAddress]) -> Iterator[str]:
    """What the kernel knows of neighbours on the link of this index, as far as it does.

    They are asked for one by one: of others on the link there may be many more.
    """
    questions = []
    for each in neighbours:
        header = _NEIGHBOUR.pack(Family(each.version).number, link, 0, 0, 0)
        questions.append(Request(_GET_NEIGH, 0, header + attribute(_NDA_DST, each.packed)))
    for answer in asker.answers(questions):
        if not isinstance(answer, NetlinkError):
            found = netlink.parse(answer.body[_NEIGHBOUR.size :])
            if address := found.get(_NDA_LLADDR):
                yield address.hex(":")
        elif answer.errno not in _GONE:
            raise answer


class Owned:
    """One owner's rules and routes, in `tables`.

    Rules that lead to no table are the owner's by their protocol number alone; a number may be somebody
    else's too, who has never heard of us, and then it is the tables that tell.
    """

    def __init__(
        self,
        asker: Requests,
        owner: RouteOwner,
        tables: Container[int],
        of: Iterable[Family] | None = None,
    ) -> None:
        self._asker = asker
        self._owner = int(owner)
        self._tables = tables
        self._families = families() if of is None else tuple(of)

    @cached_property
    def _names(self) -> Mapping[int, str]:
        return {index: link.name for index, link in links(self._asker).items()}

    @cached_property
    def _indexes(self) -> Mapping[str, int]:
        return {name: index for index, name in self._names.items()}

    def rules(self) -> frozenset[Rule]:
        """The rules that the kernel holds."""
        found = (
            _read_rule(family, message, self._owner)
            for family in self._families
            for message in self._asker.listing(_GET_RULE, _RULE.pack(family.number, 0, 0, 0, 0, 0, 0, 0, 0))
        )
        return frozenset(
            each
            for each in found
            if each is not None and (each.action is not Action.TO_TABLE or each.table in self._tables)
        )

    def routes(self) -> frozenset[Route]:
        """The routes that the kernel holds."""
        found = (
            self._read(family, message)
            for family in self._families
            for message in self._asker.listing(
                _GET_ROUTE, _ROUTE.pack(family.number, 0, 0, 0, 0, self._owner, 0, 0, 0)
            )
        )
        return frozenset(each for each in found if each is not None)

    def add(self, rules: Iterable[Rule], routes: Iterable[Route]) -> bool:
        """Add what is missing, routes first. Returns whether anything was.

        Raises:
            OSError: one was refused. KeyError: an interface is gone.
        """
        wanted = tuple(routes)
        held = {(each.family, each.table, each.to): each for each in self.routes()}
        new = [each for each in wanted if not _same(each, held.get((each.family, each.table, each.to)))]
        requests: list[Request] = []
        for route in sorted(new, key=str):
            if (old := held.get((route.family, route.table, route.to))) is not None:
                requests.append(self._deletion(old))
            requests.append(self._addition(route))
        new_rules = frozenset(rules) - self.rules()
        requests += [self._rule(rule) for rule in sorted(new_rules, key=lambda each: -each.priority)]
        self._asker.make(*requests)
        return bool(requests)

    def remove_others(self, rules: Iterable[Rule], routes: Iterable[Route]) -> bool:
        """Remove all but these, rules first. Returns whether there was anything."""
        kept = {(each.family, each.table, each.to): each for each in routes}
        requests = [self._rule_deletion(rule) for rule in self.rules() - frozenset(rules)]
        requests += [
            self._deletion(each)
            for each in self.routes()
            if not ((wanted := kept.get((each.family, each.table, each.to))) and _same(wanted, each))
        ]
        self._asker.make(*requests)
        return bool(requests)

    def bring(self, routes: Iterable[Route], rules: Iterable[Rule]) -> list[NetlinkError | None]:
        """Have each route, in place of any to the same network in the same table, then add each rule.

        Returns what the kernel said to each, the routes first; with EEXIST that a rule is there, whoever's.
        """
        additions = [self._addition(each) for each in routes]
        return self._asker.attempt(*additions, *(self._rule(each) for each in rules))

    def replace(self, *routes: Route) -> None:
        """Have these routes, in place of any to the same network in the same table. Raises OSError."""
        self._asker.make(*map(self._addition, routes))

    def delete(self, *routes: Route) -> None:
        """Delete routes, as far as they are there. Raises OSError."""
        self._asker.make(*map(self._deletion, routes))

    def add_rules(self, *rules: Rule) -> None:
        """Add rules. Raises OSError; with EEXIST if one is there, whoever's it is."""
        self._asker.make(*map(self._rule, rules))

    def delete_rules(self, *rules: Rule) -> None:
        """Delete rules, as far as they are there. Raises OSError."""
        self._asker.make(*map(self._rule_deletion, rules))

    def _addition(self, route: Route) -> Request:
        indexes = [self._indexes[each] for each in route.devices]
        return rtnetlink.put_route(
            indexes[0] if len(indexes) == 1 else None,
            route.to,
            gateway=route.gateway,
            kind=route.kind,
            table=route.table,
            protocol=self._owner,
            onlink=route.gateway is not None and bool(indexes),
            devices=indexes if len(indexes) > 1 else (),
        )

    def _deletion(self, route: Route) -> Request:
        # By its device as long as there is one: it may be gone, and the route with it.
        index = self._indexes.get(route.devices[0]) if len(route.devices) == 1 else None
        return rtnetlink.delete_route(
            route.to,
            protocol=self._owner,
            table=route.table,
            kind=route.kind,
            gateway=route.gateway,
            index=index,
        )

    def _rule(self, rule: Rule) -> Request:
        return Request(
            RouteNews.NEW_RULE, rtnetlink.CREATE | rtnetlink.EXCLUSIVE, _write_rule(rule, self._owner)
        )

    def _rule_deletion(self, rule: Rule) -> Request:
        return Request(RouteNews.DEL_RULE, 0, _write_rule(rule, self._owner), _GONE)

    def _read(self, family: Family, message: Message) -> Route | None:
        number, length, _, _, table, protocol, _, kind, _ = _ROUTE.unpack_from(message.body)
        if number != family.number or protocol != self._owner:
            return None
        found = netlink.parse(message.body[_ROUTE.size :])
        table = _number(found.get(_RTA_TABLE)) or table
        if table not in self._tables:
            return None
        devices: tuple[str, ...] = ()
        if kind in (Kind.UNICAST, Kind.LOCAL):
            hops = _hops(found[_RTA_MULTIPATH]) if _RTA_MULTIPATH in found else [_number(found.get(_RTA_OIF))]
            devices = tuple(self._names.get(each, "?") for each in hops)
        to = _ip(found.get(_RTA_DST))
        network = ip_network((to, length)) if to is not None else family.everywhere
        return Route(family, table, network, _ip(found.get(_RTA_GATEWAY)), devices, Kind(kind))


def _same(wanted: Route, held: Route | None) -> bool:
    if held is None:
        return False
    return held == wanted or (not wanted.devices and held._replace(devices=()) == wanted)


def _hops(data: memoryview) -> Iterator[int]:
    offset = 0
    while offset + _HOP.size <= len(data):
        length, _, _, index = _HOP.unpack_from(data, offset)
        yield index
        offset += (max(length, _HOP.size) + 3) & ~3


def _write_rule(rule: Rule, owner: int) -> bytes:
    length = rule.to.prefixlen if rule.to is not None else 0
    parts = [
        _RULE.pack(rule.family.number, length, 0, 0, 0, 0, 0, rule.action, 0),
        rtnetlink.u32(_FRA_PRIORITY, rule.priority),
        attribute(_FRA_PROTOCOL, bytes([owner])),
    ]
    if rule.to is not None:
        parts.append(attribute(_FRA_DST, rule.to.network_address.packed))
    if rule.mask:
        parts += [rtnetlink.u32(_FRA_FWMARK, rule.mark), rtnetlink.u32(_FRA_FWMASK, rule.mask)]
    if rule.device:
        parts.append(text(_FRA_IIFNAME, rule.device))
    if rule.action is Action.TO_TABLE:
        parts.append(rtnetlink.u32(_FRA_TABLE, rule.table))
    if rule.action is Action.GOTO:
        parts.append(rtnetlink.u32(_FRA_GOTO, rule.goto))
    return b"".join(parts)


def _read_rule(family: Family, message: Message, owner: int) -> Rule | None:
    number, length, _, _, table, _, _, action, _ = _RULE.unpack_from(message.body)
    found = netlink.parse(message.body[_RULE.size :])
    if number != family.number or _number(found.get(_FRA_PROTOCOL)) != owner:
        return None
    to = _ip(found.get(_FRA_DST))
    network: IPNetwork | None = ip_network((to, length)) if to is not None else None
    mark, mask = (_number(found.get(each)) for each in (_FRA_FWMARK, _FRA_FWMASK))
    return Rule(
        family,
        _number(found.get(_FRA_PRIORITY)),
        Action(action),
        mark,
        mask,
        netlink.string(found[_FRA_IIFNAME]) if _FRA_IIFNAME in found else "",
        network,
        (_number(found.get(_FRA_TABLE)) or table) if action == Action.TO_TABLE else 0,
        _number(found.get(_FRA_GOTO)),
    )


def _number(data: memoryview | None) -> int:
    return int.from_bytes(data or b"", sys.byteorder)


def _ip(data: memoryview | None) -> IPAddress | None:
    return ip_address(bytes(data)) if data is not None else None
