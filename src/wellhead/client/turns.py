"""Few requests at a time, as long as these are quick.

Each request in flight needs a connection of its own, and a new one costs either side two milliseconds of
cryptography, more than most requests: a burst of a hundred is done sooner by a few connections. What is slow
(a webhook somewhere, a server behind the API server) holds nobody up for longer than it takes to connect.
"""

from __future__ import annotations

import asyncio
from types import TracebackType

AT_ONCE = 8
"""More than a server with one event loop works on, and enough for its disk to write several at once."""
PATIENCE = 0.05
"""Seconds after which a request is made all the same."""


class Turns:
    """`async with turns.next():` around a request."""

    def __init__(self, at_once: int = AT_ONCE, patience: float = PATIENCE) -> None:
        self._free = asyncio.Semaphore(at_once)
        self._patience = patience

    def next(self) -> _Turn:
        return _Turn(self._free, self._patience)


class _Turn:
    __slots__ = ("_free", "_patience", "_taken")

    def __init__(self, free: asyncio.Semaphore, patience: float) -> None:
        self._free = free
        self._patience = patience
        self._taken = True

    async def __aenter__(self) -> None:
        if not self._free.locked():
            await self._free.acquire()  # at once
            return
        try:
            async with asyncio.timeout(self._patience):
                await self._free.acquire()
        except TimeoutError:
            self._taken = False

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._taken:
            self._free.release()
