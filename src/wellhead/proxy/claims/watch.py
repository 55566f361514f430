"""Keeping up with a node's routes and links: read once, then heard of one by one."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from ipaddress import ip_address, ip_network
from struct import Struct

from wellhead.ip import Family
from wellhead.linux import netlink, sysctls
from wellhead.linux.netlink import (
    Message,
    News,
    RouteGroup,
    RouteNews,
    Socket,
    parse,
    string,
)
from wellhead.proxy.claims.ways import Destination, Hop, Link, Way, ways, ways_out
from wellhead.services.node import Ways
from wellhead.waiting import comes

log = logging.getLogger(__name__)

_GATHER_SECONDS = 0.5
"""Routes come in crowds: those within this time are one change."""

_GET_LINK, _GET_ROUTE = 18, 26
_ROUTE = Struct("=BBBBBBBBI")  # struct rtmsg
_LINK = Struct("=BxHiII")  # struct ifinfomsg
_MAIN_TABLE = 254
_CLONED = 0x200
_UP = 1  # IFF_UP
_DESTINATION, _DEVICE, _GATEWAY, _METRIC, _MULTIPATH, _TABLE, _VIA, _ENCAP, _NEXT_HOP = (
    1, 4, 5, 6, 9, 15, 18, 22, 30,
)  # fmt: skip
_IFLA_IFNAME, _IFLA_LINKINFO, _IFLA_INFO_KIND = 3, 18, 1
_FAMILIES = {each.number: each for each in Family}
_GROUPS = (RouteGroup.LINK, RouteGroup.IPV4_ROUTE, RouteGroup.IPV6_ROUTE)


class WaysWatch:
    """The `ways` of this network namespace's node; `changed` is called when they have."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self.ways = Ways()
        self._changed = changed
        self._routes: dict[Destination, Hop] = {}
        self._links: dict[int, Link] = {}
        self._wake = asyncio.Event()
        self._stale = True
        self._known = asyncio.Event()

    async def known(self) -> None:
        """Wait until what there was at the start is in `ways`."""
        await self._known.wait()

    async def run(self, check_period: float) -> None:
        """Follow the kernel until cancelled; where it can't tell, by looking every `check_period` seconds."""
        try:
            news = News(Socket(netlink.ROUTE, _GROUPS), self._hear, self._lost)
        except OSError as error:
            log.warning("changes of routes are noticed at the sync period only: %s", error)
            news = None
        try:
            while True:
                if self._stale:
                    self._stale = False
                    await self._load()
                self._publish()
                self._known.set()
                if await comes(self._wake, check_period):
                    await asyncio.sleep(_GATHER_SECONDS)
                elif news is None:
                    self._stale = True
                self._wake.clear()
        finally:
            if news is not None:
                news.close()

    def out(self) -> list[Way]:
        """By which interfaces packets leave, as known now."""
        return list(ways_out(self._routes, self._links))

    def _lost(self) -> None:
        self._stale = True
        self._wake.set()

    async def _load(self) -> None:
        self._routes.clear()
        self._links.clear()
        try:
            for message in await asyncio.to_thread(lambda: list(_dump())):
                self._hear(message)
        except OSError as error:
            log.warning("routes can't be read: %s", error)
            self._stale = True

    def _hear(self, message: Message) -> None:
        if message.kind in (RouteNews.NEW_ROUTE, RouteNews.DEL_ROUTE):
            self._hear_route(message)
        elif message.kind in (RouteNews.NEW_LINK, RouteNews.DEL_LINK):
            self._hear_link(message)

    def _hear_route(self, message: Message) -> None:
        family, length, _, tos, table, _, _, _, flags = _ROUTE.unpack_from(message.body)
        if family not in _FAMILIES or tos or flags & _CLONED or not length:
            return
        found = parse(message.body[_ROUTE.size :])
        if _number(found, _TABLE, table) != _MAIN_TABLE or _DESTINATION not in found:
            return
        network = ip_network((ip_address(bytes(found[_DESTINATION])), length), strict=False)
        destination = Destination(network, _number(found, _METRIC))
        if message.kind == RouteNews.NEW_ROUTE:
            ways_on = {_GATEWAY, _VIA, _MULTIPATH, _ENCAP, _NEXT_HOP}
            self._routes[destination] = Hop(bool(ways_on & found.keys()), _number(found, _DEVICE))
        else:
            self._routes.pop(destination, None)
            self._stale |= family == Family.IPV6.number  # it may have been one of several hops
        self._wake.set()

    def _hear_link(self, message: Message) -> None:
        family, _, index, flags, _ = _LINK.unpack_from(message.body)
        if family:
            return  # of a port of a bridge, say
        found = parse(message.body[_LINK.size :])
        before = self._links.get(index)
        if message.kind == RouteNews.DEL_LINK or not flags & _UP:
            # IPv4's routes by a link go with it, and the kernel tells of nothing but that.
            kept = {to: hop for to, hop in self._routes.items() if hop.device != index}
            self._stale |= any(not hop.device for hop in self._routes.values())
            if len(kept) < len(self._routes):
                self._routes = kept
                self._wake.set()
        if message.kind == RouteNews.DEL_LINK:
            self._links.pop(index, None)
        elif _IFLA_IFNAME in found:
            info = parse(found[_IFLA_LINKINFO]) if _IFLA_LINKINFO in found else {}
            kind = string(info[_IFLA_INFO_KIND]) if _IFLA_INFO_KIND in info else ""
            self._links[index] = Link(string(found[_IFLA_IFNAME]), kind)
        if self._links.get(index) != before:
            self._wake.set()

    def _publish(self) -> None:
        found = ways(self._routes, self._links, bridged_unseen=not _nat_on_bridges())
        if found != self.ways:
            self.ways = found
            log.debug("ways by other machines: %s", ", ".join(map(str, found.routed)) or "none")
            self._changed()


def _number(found: dict[int, memoryview], type: int, default: int = 0) -> int:
    return int.from_bytes(found[type], sys.byteorder) if type in found else default


def _nat_on_bridges() -> bool:
    """Whether what crosses a bridge goes through iptables and NAT: never while br_netfilter isn't loaded."""
    return sysctls.number("net/bridge/bridge-nf-call-iptables") == 1


def _dump() -> Iterator[Message]:
    """Every link and every route."""
    with closing(Socket(netlink.ROUTE)) as socket:
        yield from socket.dump(_GET_LINK, bytes(_LINK.size))
        for family in _FAMILIES:
            yield from socket.dump(_GET_ROUTE, bytes([family]).ljust(_ROUTE.size, b"\0"))
