"""Names of objects that somebody has to look at: each waits once, however often it is added."""

from __future__ import annotations

import asyncio


class Names:
    """A queue that is bounded by the objects that there are."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[str] = asyncio.Queue()
        self._waiting: set[str] = set()

    def add(self, name: str) -> None:
        """Have it looked at, after all that wait."""
        if name not in self._waiting:
            self._waiting.add(name)
            self._queue.put_nowait(name)

    async def next(self) -> str:
        """The one that has waited longest; from now on it may be added again."""
        name = await self._queue.get()
        self._waiting.discard(name)
        return name
