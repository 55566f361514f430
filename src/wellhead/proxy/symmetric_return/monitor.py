"""The kernel's own news: somebody has changed routes, rules, interfaces, addresses, or our table."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Iterator

from wellhead.proxy.backends.nftables.kernel import table_of
from wellhead.proxy.backends.nftables.netlink import Reply, Socket
from wellhead.proxy.symmetric_return.rules import TABLE

log = logging.getLogger(__name__)

_LINK, _IPV4_IFADDR, _IPV4_ROUTE, _IPV4_RULE = 1, 5, 7, 8
_IPV6_IFADDR, _IPV6_ROUTE, _IPV6_RULE = 9, 11, 19
_GROUPS = (_LINK, _IPV4_IFADDR, _IPV4_ROUTE, _IPV4_RULE, _IPV6_IFADDR, _IPV6_ROUTE, _IPV6_RULE)
_SOL_NETLINK, _ADD_MEMBERSHIP = 270, 1


@contextlib.contextmanager
def watching(routing: Callable[[], None], table: Callable[[], None]) -> Iterator[None]:
    """Call back, on the running loop, after changes to routing and to the table. They may be our own.

    Where the kernel has no way to tell, which is logged, nothing is called.
    """
    with contextlib.ExitStack() as stack:
        try:
            _listen(stack, routing, table)
        except OSError as error:
            log.warning("others' changes to return paths are noticed at the sync period only: %s", error)
        yield


def _listen(stack: contextlib.ExitStack, routing: Callable[[], None], table: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    routes = stack.enter_context(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK))
    routes.bind((0, 0))
    for group in _GROUPS:
        routes.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, group)
    loop.add_reader(routes.fileno(), _drain, routes, routing)
    stack.callback(loop.remove_reader, routes.fileno())
    rules = stack.enter_context(contextlib.closing(Socket()))
    rules.subscribe()
    loop.add_reader(rules.fileno(), _notify, rules, table)
    stack.callback(loop.remove_reader, rules.fileno())


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
