"""Noticing by netlink that somebody else changes what the forwarder has put into the kernel."""

from __future__ import annotations

from collections.abc import Callable
from socket import AF_INET, AF_INET6

from wellhead.cloud.forwarder.own_changes import OwnChanges
from wellhead.ip import Family
from wellhead.linux.netlink import ROUTE, Message, News, RouteGroup, RouteNews, Socket
from wellhead.linux.nftables import news
from wellhead.linux.numbers import Table

# A link going down takes IPv4 routes along without saying so.
_GROUPS = (
    RouteGroup.LINK,
    RouteGroup.NEIGH,
    RouteGroup.IPV4_ADDRESS,
    RouteGroup.IPV4_ROUTE,
    RouteGroup.IPV4_RULE,
    RouteGroup.IPV6_ADDRESS,
    RouteGroup.IPV6_ROUTE,
    RouteGroup.IPV6_RULE,
)
_ROUTES = (RouteNews.NEW_ADDRESS, RouteNews.DEL_ADDRESS, RouteNews.DEL_ROUTE, RouteNews.DEL_RULE)


class Disturbances:
    """Tells of others' changes of one family's table, of what may have taken routes or rules away, and of
    neighbours that the kernel has heard from.

    To be made in the router's network namespace; `listen` and `close` belong to the event loop.
    """

    def __init__(self, family: Family, ours: OwnChanges) -> None:
        self._family = family
        self._ours = ours
        self._nftables = news.news_socket()
        ours.hide_from(self._nftables)
        self._routes = Socket(ROUTE, _GROUPS)
        self._news: list[News] = []

    def listen(
        self, table: Callable[[], None], routes: Callable[[], None], neighbour: Callable[[], None]
    ) -> None:
        """Call back from now on."""

        def heard(message: Message) -> None:
            family = message.body[0]
            if message.kind == RouteNews.NEW_LINK or (
                message.kind in _ROUTES and family == self._family.number
            ):
                routes()
            elif message.kind == RouteNews.NEW_NEIGH and family in (AF_INET, AF_INET6):
                neighbour()

        self._news = [
            news.watch(Table.FORWARDER, (self._family.number,), table, self._nftables),
            News(self._routes, heard, routes),
        ]

    def close(self) -> None:
        """Stop."""
        self._ours.forget(self._nftables)
        for each in self._news or (self._nftables, self._routes):
            each.close()
