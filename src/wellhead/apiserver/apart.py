"""Work on something large, apart from the event loop: others' requests are answered meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

# Bytes from which on an object is large: checking it takes longer than handing it to a thread.
_LARGE = 64 * 1024


class Apart:
    """One at a time: two threads that compute would leave less of the interpreter's lock to the loop."""

    def __init__(self) -> None:
        self._turn = asyncio.Semaphore(1)

    async def run(self, size: int, work: Callable[[], T]) -> T:
        """What `work` returns or raises. `size` is how many bytes it is about; if few, it is done at once."""
        if size < _LARGE:
            return work()
        async with self._turn:
            return await asyncio.to_thread(work)
