"""What the kernel says of links, addresses, neighbours, routes, rules and settings: facts, a key and a value.

A listing and the news of a change have the same form, so one reader serves both. A value of None says that
what the key names is not there (any more). Interfaces are called by name. Source: rtnetlink(7), and
linux/{rtnetlink,if_link,if_addr,neighbour,fib_rules,netconf}.h.
"""

from __future__ import annotations

import errno
import socket
import struct
import sys
from collections.abc import Iterator
from ipaddress import ip_address

from wellhead.ip import Family
from wellhead.linux import netlink
from wellhead.linux.netlink import Message, RouteGroup, RouteNews, Socket

Key = tuple[str | int, ...]
"""The first part says of what: see the functions below."""
Value = str | int | bool | tuple[str | int, ...]
Fact = tuple[Key, Value | None]

_GET_LINK, _GET_ADDRESS, _GET_ROUTE, _GET_NEIGH, _GET_RULE, _GET_SETTINGS = 18, 22, 26, 30, 34, 82
_IFF_UP, _NUD_PERMANENT = 1, 0x80
_IFLA_IFNAME, _IFLA_MTU, _IFLA_MASTER, _IFLA_GROUP = 3, 4, 10, 27
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PRIORITY, _RTA_TABLE = 1, 4, 5, 6, 15
_NDA_DST, _NDA_LLADDR = 1, 2
_FRA_PRIORITY, _FRA_TABLE = 6, 15
_FRA_CONDITIONS = {1, 2, 3, 10, 16, 17}
_NETCONFA_IFINDEX, _NETCONFA = 1, {2: "forwarding", 3: "rp_filter", 5: "proxy_neigh"}
_ALL, _DEFAULT = -1, -2
_RTM_F_CLONED = 0x200  # a route that the kernel made of another, for one destination
_AF_BRIDGE = 7
_FAMILIES = {family.number: family for family in Family}


def news_socket() -> Socket:
    """A socket that hears of all changes to such facts in the calling thread's network namespace."""
    return Socket(netlink.ROUTE, RouteGroup)


class Reader:
    """Turns messages of one network namespace into facts; remembers what its interfaces are called."""

    def __init__(self) -> None:
        self._names: dict[int, str] = {}
        self._early: dict[int, list[Message]] = {}  # settings of an interface are told before its name is

    def everything(self) -> Iterator[Fact]:
        """All facts of the calling thread's network namespace. Blocks for a moment. Raises OSError."""
        with Socket(netlink.ROUTE) as sock:
            yield from self.everything_by(sock)

    def everything_by(self, sock: Socket) -> Iterator[Fact]:
        """All facts of the namespace where this socket was made, which has to hear no news."""
        for kind in (_GET_LINK, _GET_ADDRESS, _GET_NEIGH, _GET_ROUTE, _GET_RULE, _GET_SETTINGS):
            for family in _FAMILIES if kind == _GET_SETTINGS else (socket.AF_UNSPEC,):
                yield from self._listing(sock, kind, family)

    def routes(self) -> Iterator[Fact]:
        """The routes alone of the calling thread's network namespace. Blocks for a moment. Raises OSError."""
        with Socket(netlink.ROUTE) as sock:
            yield from self._listing(sock, _GET_ROUTE, socket.AF_UNSPEC)

    def _listing(self, sock: Socket, kind: int, family: int) -> Iterator[Fact]:
        # Long enough for the header of each kind.
        body = struct.pack("=B31x", family)
        sock.send(netlink.message(kind, netlink.NLM_F_REQUEST | netlink.NLM_F_DUMP, kind, body))
        yield from self._answers(sock)

    def _answers(self, sock: Socket) -> Iterator[Fact]:
        while True:
            for message in sock.receive():
                if message.kind == netlink.NLMSG_DONE:
                    return
                if message.kind == netlink.NLMSG_ERROR:
                    error = netlink.refusal(message)
                    if error is None or error.errno in (errno.EOPNOTSUPP, errno.EAFNOSUPPORT):
                        return  # a kernel without that family
                    raise error
                yield from self.facts(message)

    def facts(self, message: Message) -> list[Fact]:
        """What a message says."""
        match message.kind:
            case RouteNews.NEW_LINK | RouteNews.DEL_LINK:
                return self._link(message)
            case RouteNews.NEW_ADDRESS | RouteNews.DEL_ADDRESS:
                return self._address(message)
            case RouteNews.NEW_ROUTE | RouteNews.DEL_ROUTE:
                return self._route(message)
            case RouteNews.NEW_NEIGH | RouteNews.DEL_NEIGH:
                return self._neighbour(message)
            case RouteNews.NEW_RULE | RouteNews.DEL_RULE:
                return _rule(message)
            case RouteNews.NEW_SETTINGS:
                return self._setting(message)
        return []

    def _link(self, message: Message) -> list[Fact]:
        """("link", NAME, "up" | "mtu" | "group" | "master"): the master is another one's name, or empty."""
        af, _, index, flags = struct.unpack_from("=BxHiI", message.body)
        if af == _AF_BRIDGE:
            return []  # of a bridge's port, said again
        found = netlink.parse(message.body[16:])
        name = netlink.string(found[_IFLA_IFNAME])
        before = self._names.get(index, name)
        gone = message.kind == RouteNews.DEL_LINK
        early = self._early.pop(index, ())
        facts: list[Fact] = []
        if gone or before != name:
            facts += [(("link", before, what), None) for what in ("up", "mtu", "group", "master")]
            facts += [
                (("setting", int(family), before, what), None)
                for family in Family
                for what in _NETCONFA.values()
            ]
            self._names.pop(index, None)
        if not gone:
            self._names[index] = name
            master = _number(found.get(_IFLA_MASTER))
            facts += [
                (("link", name, "up"), bool(flags & _IFF_UP)),
                (("link", name, "mtu"), _number(found.get(_IFLA_MTU))),
                (("link", name, "group"), _number(found.get(_IFLA_GROUP))),
                (("link", name, "master"), self._names.get(master, "?") if master else ""),
            ]
            for each in early:
                facts += self._setting(each)
        return facts

    def _address(self, message: Message) -> list[Fact]:
        """("address", INTERFACE, "ADDRESS/PREFIX") is true."""
        _, length, _, _, index = struct.unpack_from("=BBBBI", message.body)
        found = netlink.parse(message.body[8:])
        address = found.get(_IFA_LOCAL) or found.get(_IFA_ADDRESS)
        if address is None:
            return []
        key = ("address", self._name(index), f"{_ip(address)}/{length}")
        return [(key, True if message.kind == RouteNews.NEW_ADDRESS else None)]

    def _neighbour(self, message: Message) -> list[Fact]:
        """("neighbour", INTERFACE, ADDRESS): its hardware address, if that was set and not learned."""
        family, index, state = struct.unpack_from("=B3xiH", message.body)
        found = netlink.parse(message.body[12:])
        if family not in _FAMILIES or _NDA_DST not in found:
            return []
        permanent = message.kind == RouteNews.NEW_NEIGH and state & _NUD_PERMANENT
        value = found.get(_NDA_LLADDR, memoryview(b"")).hex(":") if permanent else None
        return [(("neighbour", self._name(index), _ip(found[_NDA_DST])), value)]

    def _route(self, message: Message) -> list[Fact]:
        """("route", TABLE, "NETWORK/PREFIX", METRIC, "to" | "by"): (type, protocol, gateway); device."""
        family, length, _, _, table, protocol, _, kind, flags = struct.unpack_from("=BBBBBBBBI", message.body)
        if family not in _FAMILIES or flags & _RTM_F_CLONED:
            return []
        found = netlink.parse(message.body[12:])
        to = str(_ip(found[_RTA_DST])) if _RTA_DST in found else _FAMILIES[family].everywhere.network_address
        number = _number(found.get(_RTA_TABLE)) or table
        key = ("route", number, f"{to}/{length}", _number(found.get(_RTA_PRIORITY)))
        if message.kind == RouteNews.DEL_ROUTE:
            return [((*key, "to"), None), ((*key, "by"), None)]
        gateway = _ip(found[_RTA_GATEWAY]) if _RTA_GATEWAY in found else ""
        device = self._name(_number(found[_RTA_OIF])) if _RTA_OIF in found else ""
        return [((*key, "to"), (kind, protocol, gateway)), ((*key, "by"), device)]

    def _setting(self, message: Message) -> list[Fact]:
        """("setting", 4 | 6, INTERFACE | "all" | "default", "forwarding" | "rp_filter" | "proxy_neigh")."""
        found = netlink.parse(message.body[4:])
        family = _FAMILIES.get(message.body[0])
        if family is None or _NETCONFA_IFINDEX not in found:
            return []
        (index,) = struct.unpack("=i", found[_NETCONFA_IFINDEX])
        name = {_ALL: "all", _DEFAULT: "default"}.get(index) or self._names.get(index)
        if name is None:
            self._early.setdefault(index, []).append(message)
            return []
        return [
            (("setting", int(family), name, what), _number(found[number]))
            for number, what in _NETCONFA.items()
            if number in found
        ]

    def _name(self, index: int) -> str:
        return self._names.get(index, f"#{index}")


def _rule(message: Message) -> list[Fact]:
    """("rule", 4 | 6, PRIORITY): the table, if the rule is for all packets; -1 for one with conditions."""
    number, to, source, _, table, _, _, action, _ = struct.unpack_from("=BBBBBBBBI", message.body)
    family = _FAMILIES.get(number)
    if family is None:
        return []
    found = netlink.parse(message.body[12:])
    key = ("rule", int(family), _number(found.get(_FRA_PRIORITY)))
    if message.kind == RouteNews.DEL_RULE:
        return [(key, None)]
    for_all = action == 1 and not to and not source and found.keys().isdisjoint(_FRA_CONDITIONS)
    return [(key, (_number(found.get(_FRA_TABLE)) or table) if for_all else -1)]


def _ip(data: memoryview) -> str:
    return str(ip_address(bytes(data)))


def _number(data: memoryview | None) -> int:
    return int.from_bytes(data or b"", sys.byteorder)
