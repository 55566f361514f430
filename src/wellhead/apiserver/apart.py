"""Work on something large, apart from the event loop: others' requests are answered meanwhile."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import TypeVar

from wellhead.api.cel import Budget, TakesLong, Trial
from wellhead.client.collector import uncollected

T = TypeVar("T")

# Bytes from which on an object is large: checking it takes longer than handing it to a thread.
_LARGE = 64 * 1024
# How long (seconds) a thread keeps the interpreter when the loop wants it. A request needs it several times
# until it is answered, so of Python's usual 5 ms each others would feel the sum.
_TURN = 0.001
# What expressions may cost on the loop: a few milliseconds. Most take a hundredth of that.
_AT_ONCE = 5_000


class Apart:
    """One at a time: two threads that compute would leave less of the interpreter's lock to the loop."""

    def __init__(self) -> None:
        sys.setswitchinterval(_TURN)
        self._turn = asyncio.Semaphore(1)

    async def run(self, size: int, work: Callable[[], T]) -> T:
        """What `work` returns or raises. `size` is how many bytes it is about; if few, it is done at once."""
        if size < _LARGE:
            return work()
        return await self.always(work)

    async def judge(self, work: Callable[[Callable[[int], Budget]], T], *, at_once: bool = True) -> T:
        """What `work`, which evaluates expressions, returns or raises; what it is given makes budgets.

        It is tried at once first (if that may be little work at all), so that nobody waits for others'
        expressions who has simple ones; what takes longer is done again on a thread.
        """
        if at_once:
            trial = Trial(_AT_ONCE)
            try:
                return work(lambda _cost: trial)
            except TakesLong:
                pass
        return await self.always(lambda: work(Budget))

    async def always(self, work: Callable[[], T]) -> T:
        """The same of work that may take long, whatever it is about."""
        async with self._turn:
            with uncollected():  # a collection would hold everybody up
                return await asyncio.to_thread(work)
