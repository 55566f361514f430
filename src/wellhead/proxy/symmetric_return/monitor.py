"""The kernel's own news: somebody has changed routes, rules, interfaces, addresses, or our table."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from wellhead.proxy.backends.nftables.kernel import table_of
from wellhead.proxy.backends.nftables.netlink import Reply, Socket
from wellhead.proxy.symmetric_return.rules import TABLE

_LINK, _IPV4_IFADDR, _IPV4_ROUTE, _IPV4_RULE = 1, 5, 7, 8
_IPV6_IFADDR, _IPV6_ROUTE, _IPV6_RULE = 9, 11, 19
_GROUPS = (_LINK, _IPV4_IFADDR, _IPV4_ROUTE, _IPV4_RULE, _IPV6_IFADDR, _IPV6_ROUTE, _IPV6_RULE)
_SOL_NETLINK, _ADD_MEMBERSHIP = 270, 1


@contextmanager
def watching(routing: Callable[[], None], table: Callable[[], None]) -> Iterator[None]:
    """Call back, on the running loop, after changes to routing and to the table. They may be our own.

    Raises:
        OSError: there is no way to listen.
    """
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK) as routes:
        routes.bind((0, 0))
        for group in _GROUPS:
            routes.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, group)
        rules = Socket()
        try:
            rules.subscribe()
            loop.add_reader(routes.fileno(), _drain, routes, routing)
            loop.add_reader(rules.fileno(), _notify, rules, table)
            yield
        finally:
            loop.remove_reader(routes.fileno())
            loop.remove_reader(rules.fileno())
            rules.close()


def _drain(routes: socket.socket, changed: Callable[[], None]) -> None:
    while True:
        try:
            routes.recv(65536)
        except BlockingIOError:
            break
        except OSError:  # too many to tell: ENOBUFS
            continue
    changed()


def _notify(rules: Socket, changed: Callable[[], None]) -> None:
    ours: list[Reply] = []

    def note(reply: Reply) -> None:
        if table_of(reply) == TABLE:
            ours.append(reply)

    if rules.notifications(note) or ours:
        changed()
