"""Netlink requests, off the event loop: one thread, long-lived sockets.

pyroute2's own asyncio sockets can't be used, since they ask the loop for datagram endpoints of a family that
uvloop refuses. A request takes well under a millisecond, so one thread is enough, and it keeps them in order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from pyroute2 import IPRoute

from wellhead.linux.rtnetlink import Requests

T = TypeVar("T")


class Netlink:
    """Runs functions that ask in this network namespace. Close it at the end."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="netlink")
        self._routing: Any = None
        self._requests: Requests | None = None

    async def run(self, work: Callable[[Any], T]) -> T:
        """What `work(iproute)` returns. Raises pyroute2's NetlinkError (`code` is the errno)."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._call, work)

    async def ask(self, work: Callable[[Requests], T]) -> T:
        """What `work(requests)` returns. Raises OSError."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._ask, work)

    def _ask(self, work: Callable[[Requests], T]) -> T:
        if self._requests is None:
            self._requests = Requests()
        return work(self._requests)

    def _call(self, work: Callable[[Any], T]) -> T:
        if self._routing is None:
            self._routing = IPRoute()
        return work(self._routing)

    def close(self) -> None:
        """Wait for the last request, then close the sockets."""
        self._thread.submit(self._close).result()
        self._thread.shutdown()

    def _close(self) -> None:
        if self._routing is not None:
            self._routing.close()
            self._routing = None
        if self._requests is not None:
            self._requests.close()
            self._requests = None
