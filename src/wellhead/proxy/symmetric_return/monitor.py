"""The kernel's own news: somebody has changed routes, rules, interfaces, addresses, or our table."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator

from wellhead.linux import netlink
from wellhead.linux.netlink import News, RouteGroup, Socket
from wellhead.linux.nftables import news
from wellhead.linux.nftables.news import NFPROTO_INET
from wellhead.proxy.symmetric_return.rules import TABLE

log = logging.getLogger(__name__)

_GROUPS = (
    RouteGroup.LINK,
    RouteGroup.IPV4_ADDRESS,
    RouteGroup.IPV4_ROUTE,
    RouteGroup.IPV4_RULE,
    RouteGroup.IPV6_ADDRESS,
    RouteGroup.IPV6_ROUTE,
    RouteGroup.IPV6_RULE,
)


@contextlib.contextmanager
def watching(routing: Callable[[], None], table: Callable[[], None]) -> Iterator[None]:
    """Call back, on the running loop, after changes to routing and to the table. They may be our own.

    Where the kernel has no way to tell, which is logged, nothing is called.
    """
    with contextlib.ExitStack() as stack:
        try:
            routes = News(Socket(netlink.ROUTE, _GROUPS), lambda _: routing(), routing)
            stack.callback(routes.close)
            stack.callback(news.watch(TABLE, (NFPROTO_INET,), table).close)
        except OSError as error:
            log.warning("others' changes to return paths are noticed at the sync period only: %s", error)
        yield
