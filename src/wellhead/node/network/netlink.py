"""Netlink requests, off the event loop: one thread, a long-lived socket.

A request takes well under a millisecond, so one thread is enough, and it keeps them in order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from wellhead.linux.rtnetlink import Requests

T = TypeVar("T")


class Netlink:
    """Runs functions that ask in this network namespace. Close it at the end."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="netlink")
        self._requests: Requests | None = None

    async def ask(self, work: Callable[[Requests], T]) -> T:
        """What `work(requests)` returns. Raises OSError."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._ask, work)

    def _ask(self, work: Callable[[Requests], T]) -> T:
        if self._requests is None:
            self._requests = Requests()
        return work(self._requests)

    def close(self) -> None:
        """Wait for the last request, then close the socket."""
        self._thread.submit(self._close).result()
        self._thread.shutdown()

    def _close(self) -> None:
        if self._requests is not None:
            self._requests.close()
            self._requests = None
