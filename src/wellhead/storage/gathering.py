"""Concurrent transactions, gathered: a group costs one fsync or one round trip, however large it is.

One group is written at a time. The next is what came meanwhile, and what comes in the same turn of the event
loop: to begin with the first that comes would write the others of its turn one by one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from wellhead.storage.pending import Pending
from wellhead.storage.store import StoreKey

_TURNS = 3
"""Turns of the loop that are waited for others, if there were twice as many the last time. A turn in which
nothing happens takes some ten microseconds."""


class Gathering:
    """Hands groups to `begin`, which must lead to a call of `done` for each, on the event loop."""

    def __init__(
        self,
        begin: Callable[[list[Pending]], None],
        most_writes: int,
        most_bytes: int,
        *,
        distinct: bool = False,
    ) -> None:
        """A group has no more writes and bytes than these, unless a single transaction has; `distinct`: and
        no key twice."""
        self._begin = begin
        self._most_writes, self._most_bytes = most_writes, most_bytes
        self._distinct = distinct
        self._waiting: deque[Pending] = deque()
        self._turn: asyncio.Handle | None = None
        self._is_busy = False
        self._last = self._turns_left = 0

    def add(self, pending: Pending) -> None:
        """Have it written, in the order of the calls."""
        self._waiting.append(pending)
        self._begin_soon()

    def done(self) -> None:
        """The group that was handed over is written, or has failed."""
        self._is_busy = False
        if self._waiting:
            self._begin_soon()

    def rest(self) -> list[list[Pending]]:
        """The groups that haven't been handed over, which they won't be any more."""
        if self._turn is not None:
            self._turn.cancel()
        groups = []
        while self._waiting:
            groups.append(self._group())
        return groups

    def _begin_soon(self) -> None:
        if not self._is_busy and self._turn is None:
            self._turns_left = _TURNS
            self._turn = asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        if self._turns_left and 2 * len(self._waiting) < self._last:
            self._turns_left -= 1
            self._turn = asyncio.get_running_loop().call_soon(self._next)
            return
        self._turn = None
        group = self._group()
        self._last = len(group)
        self._is_busy = True
        self._begin(group)

    def _group(self) -> list[Pending]:
        group: list[Pending] = []
        writes = size = 0
        keys: set[StoreKey] = set()
        while self._waiting:
            pending = self._waiting[0]
            writes += len(pending.writes)
            size += pending.size
            if group and (writes > self._most_writes or size > self._most_bytes):
                break
            if self._distinct:
                mine = [write.key for write in pending.writes]
                if not keys.isdisjoint(mine):
                    break
                keys.update(mine)
            group.append(self._waiting.popleft())
        return group
