"""The VIPs that this machine answers for: local routes, so that they are its own without being any link's.

The router leads a VIP's packets here; what makes this machine take them is a route of type local on `lo`
(ip-route(8)). Routes are marked as ours, and found again after a restart. All but `watch` block.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from ipaddress import ip_network

from wellhead.ip import IPAddress, family_of
from wellhead.linux.netlink import ROUTE, Message, News, RouteGroup, RouteNews, Socket
from wellhead.linux.numbers import RouteOwner
from wellhead.linux.routes import LOCAL_TABLE, Kind, Route
from wellhead.linux.routing import Owned
from wellhead.linux.rtnetlink import Requests

_LOOPBACK = "lo"
_GROUPS = (RouteGroup.LINK, RouteGroup.IPV4_ROUTE, RouteGroup.IPV6_ROUTE)


def held() -> frozenset[IPAddress]:
    """The addresses that an earlier call of `hold` left."""
    with _ours() as ours:
        return frozenset(
            each.to.network_address for each in ours.routes() if each.to.prefixlen == each.to.max_prefixlen
        )


def hold(addresses: Collection[IPAddress]) -> None:
    """Answer for these too."""
    with _ours() as ours:
        ours.replace(*map(_route, addresses))


def release(addresses: Collection[IPAddress]) -> None:
    """Don't answer for these any more."""
    with _ours() as ours:
        ours.delete(*map(_route, addresses))


def watch(disturbed: Callable[[], None]) -> News:
    """Call back, on the running loop, when one of these routes may have gone, by our own doing too."""

    def heard(message: Message) -> None:
        if message.kind in (RouteNews.DEL_ROUTE, RouteNews.NEW_LINK):
            disturbed()

    return News(Socket(ROUTE, _GROUPS), heard, disturbed)


@contextmanager
def _ours() -> Iterator[Owned]:
    with Requests() as asker:
        yield Owned(asker, RouteOwner.VIPS, (LOCAL_TABLE,))


def _route(address: IPAddress) -> Route:
    to = ip_network(address)
    return Route(family_of(address), LOCAL_TABLE, to, devices=(_LOOPBACK,), kind=Kind.LOCAL)
