"""The pods that wait: for their turn, or for something to change."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass

from wellhead.api.meta import Key
from wellhead.health import Overdue

_WAITING_SECONDS = 300.0
_FIRST_BACKOFF, _LONGEST_BACKOFF = 0.1, 10.0  # seconds


@dataclass
class _Parked:
    reasons: frozenset[str]
    not_before: float
    timer: asyncio.TimerHandle | None = None


class Queue:
    """Pods by key: highest priority first, then in the order in which they came.

    A pod that can't be placed is parked, and comes back when `wake` says that something changed; one that
    was refused often comes back later.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Key]] = []
        self._queued: dict[Key, float] = {}  # since when
        self._parked: dict[Key, _Parked] = {}
        self._attempts: dict[Key, int] = {}
        self._priorities: dict[Key, int] = {}
        self._order = itertools.count()
        self._wake = asyncio.Event()

    def add(self, key: Key, priority: int) -> None:
        """Queue a pod that is new, or has changed."""
        self._unpark(key)
        self._priorities[key] = priority
        if key not in self._queued:
            self._queued[key] = asyncio.get_running_loop().time()
            heapq.heappush(self._heap, (-priority, next(self._order), key))
            self._wake.set()

    def remove(self, key: Key) -> None:
        """Forget a pod that is gone or has a node."""
        self._unpark(key)
        self._queued.pop(key, None)
        self._attempts.pop(key, None)
        self._priorities.pop(key, None)

    async def pop(self) -> Key:
        """The next pod, when there is one."""
        while True:
            while self._heap:
                _, _, key = heapq.heappop(self._heap)
                if key in self._queued:
                    del self._queued[key]
                    return key
            self._wake.clear()
            await self._wake.wait()

    def problem(self, now: float) -> str:
        """Which pod has waited longest for its turn, if that is for too long."""
        if not self._queued:
            return ""
        since, name = min((since, name) for name, since in self._queued.items())
        waiting = Overdue(f"pod {'/'.join(name)} has waited for its turn", _WAITING_SECONDS)
        waiting.begin(since, f"{len(self._queued)} wait")
        return waiting.problem(now)

    def park(self, key: Key, reasons: frozenset[str]) -> None:
        """Set a pod aside that was refused for these reasons."""
        self._unpark(key)
        self._parked[key] = _Parked(reasons, asyncio.get_running_loop().time() + self._backoff(key))

    def retry(self, key: Key) -> None:
        """Queue a pod again after a failure that may pass by itself, later each time."""
        self.park(key, frozenset())
        self._bring_back(key)

    def wake(self, concerns: Callable[[frozenset[str]], bool]) -> None:
        """Something changed: bring back the parked pods whose reasons it concerns."""
        for key in [key for key, parked in self._parked.items() if concerns(parked.reasons)]:
            self._bring_back(key)

    def _bring_back(self, key: Key) -> None:
        parked = self._parked[key]
        if parked.timer is not None:
            return
        loop = asyncio.get_running_loop()
        wait = parked.not_before - loop.time()
        if wait <= 0:
            self._requeue(key)
        else:
            parked.timer = loop.call_later(wait, self._requeue, key)

    def _requeue(self, key: Key) -> None:
        self.add(key, self._priorities.get(key, 0))

    def _backoff(self, key: Key) -> float:
        attempts = self._attempts.get(key, 0)
        self._attempts[key] = attempts + 1
        return float(min(_FIRST_BACKOFF * 2 ** min(attempts, 16), _LONGEST_BACKOFF))

    def _unpark(self, key: Key) -> None:
        parked = self._parked.pop(key, None)
        if parked is not None and parked.timer is not None:
            parked.timer.cancel()
