"""The kernel's own news: somebody has changed routes, rules, interfaces, addresses, or our table."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator

from wellhead.linux import netlink, sysctls
from wellhead.linux.netlink import News, RouteGroup, Socket
from wellhead.linux.nftables import news
from wellhead.linux.nftables.news import NFPROTO_INET
from wellhead.proxy.symmetric_return.reverse_path import settings
from wellhead.proxy.symmetric_return.rules import TABLE

log = logging.getLogger(__name__)

_GROUPS = (
    RouteGroup.LINK,
    RouteGroup.IPV4_ADDRESS,
    RouteGroup.IPV4_ROUTE,
    RouteGroup.IPV4_RULE,
    RouteGroup.IPV4_SETTINGS,
    RouteGroup.IPV6_ADDRESS,
    RouteGroup.IPV6_ROUTE,
    RouteGroup.IPV6_RULE,
)


Listen = Callable[[tuple[str, ...]], None]


@contextlib.contextmanager
def watching(routing: Callable[[], None], table: Callable[[], None]) -> Iterator[Listen]:
    """Call back, on the running loop, after changes to routing and to the table. They may be our own.

    What this gives is told the interfaces whose reverse-path settings count, too. Where the kernel has no way
    to tell, which is logged, nothing is called.
    """
    heard: tuple[str, ...] = ()
    written: sysctls.Writes | None = None

    def listen(devices: tuple[str, ...]) -> None:
        nonlocal heard
        if written is None or devices == heard:
            return
        heard = devices
        try:
            written.listen("", settings(devices))
        except OSError as error:
            log.warning("others' changes to reverse-path settings are noticed late: %s", error)
        routing()  # they may have been changed since they were looked at

    with contextlib.ExitStack() as stack:
        try:
            routes = News(Socket(netlink.ROUTE, _GROUPS), lambda _: routing(), routing)
            stack.callback(routes.close)
            stack.callback(news.watch(TABLE, (NFPROTO_INET,), table).close)
            written = stack.enter_context(contextlib.closing(sysctls.Writes(lambda _: routing())))
        except OSError as error:
            log.warning("others' changes to return paths are noticed at the sync period only: %s", error)
        yield listen
