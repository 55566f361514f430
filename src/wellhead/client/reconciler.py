"""Keys that need attention, each looked after by one worker at a time, again and again until it goes well."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Iterator
from typing import Generic, TypeVar

from wellhead.api.errors import ApiError, Conflict, NotFound, namespace_ends
from wellhead.backoff import Backoff
from wellhead.client.rest import ConnectionLost
from wellhead.health import Check, Overdue, together

_log = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)

# A request takes 30 seconds at most, and a key a handful of them.
BUSY_SECONDS = 300.0
WAITING_SECONDS = 300.0


class Reconciler(Generic[K]):
    """Calls `reconcile(key)` for each key that is enqueued.

    A key that is enqueued while it waits counts once; one that is enqueued while it is worked on is worked on
    again afterwards. So `reconcile` must read the state as it is, not what changed. It may return seconds
    after which it wants to see the key again. An exception means: again, later and later. Conflict and
    NotFound are what optimistic concurrency looks like, and are not logged above debug level; of what
    else the API server refuses, only its words are.
    """

    def __init__(
        self, name: str, reconcile: Callable[[K], Awaitable[float | None]], workers: int = 4
    ) -> None:
        self._name = name
        self._reconcile = reconcile
        self._workers = workers
        self._waiting: deque[K] = deque()
        self._enqueued: dict[K, float] = {}  # exactly what stands in _waiting, and since when
        self._working: dict[K, Overdue] = {}
        self._again: set[K] = set()  # enqueued while being worked on
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._backoffs: dict[K, Backoff] = {}
        self._wake = asyncio.Semaphore(0)

    def enqueue(self, key: K) -> None:
        """See to `key` as soon as a worker is free."""
        if key in self._working:
            self._again.add(key)
        elif key not in self._enqueued:
            self._enqueued[key] = asyncio.get_running_loop().time()
            self._waiting.append(key)
            self._wake.release()

    def enqueue_after(self, key: K, seconds: float) -> None:
        """See to `key` in `seconds`. Only the earliest appointment of a key is kept."""
        loop = asyncio.get_running_loop()
        timer = self._timers.get(key)
        if timer is not None:
            if timer.when() <= loop.time() + seconds:
                return
            timer.cancel()
        self._timers[key] = loop.call_later(seconds, self._due, key)

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._workers):
                    group.create_task(self._work())
        finally:
            for timer in self._timers.values():
                timer.cancel()
            self._timers.clear()

    def checks(self) -> list[Check]:
        """That no key keeps its worker for too long; that none waits too long for one."""
        name = self._name.replace(" ", "-")
        return [Check(name, self._busy, mortal=True), Check(f"{name}-queue", self._late)]

    def _busy(self, now: float) -> str:
        return together(each.problem(now) for each in self._working.values())

    def _late(self, now: float) -> str:
        if not self._waiting:
            return ""
        oldest = self._waiting[0]
        waiting = Overdue(f"{_shown(oldest)} has waited", WAITING_SECONDS)
        waiting.begin(
            self._enqueued[oldest], f"{len(self._waiting)} wait, {len(self._working)} are worked on"
        )
        return waiting.problem(now)

    def _due(self, key: K) -> None:
        del self._timers[key]
        self.enqueue(key)

    async def _work(self) -> None:
        while True:
            await self._wake.acquire()
            key = self._waiting.popleft()
            del self._enqueued[key]
            busy = self._working[key] = Overdue(f"busy with {_shown(key)}", BUSY_SECONDS)
            busy.begin(asyncio.get_running_loop().time())
            try:
                again = await self._reconcile(key)
            except Exception as error:
                self._failed(key, error)
            else:
                self._backoffs.pop(key, None)
                if again is not None:
                    self.enqueue_after(key, again)
            finally:
                del self._working[key]
                if key in self._again:
                    self._again.remove(key)
                    self.enqueue(key)

    def _failed(self, key: K, error: Exception) -> None:
        delay = self._backoffs.setdefault(key, Backoff(0.01, 60.0)).next()
        reasons = [each for each in _leaves(error) if not _is_usual(each)]
        if not reasons:
            _log.debug("%s %s: %s", self._name, key, error)
        elif all(isinstance(each, ApiError | ConnectionLost) for each in reasons):
            # What the API server says explains itself: a quota, a webhook, a connection that is lost.
            said = "; ".join(dict.fromkeys(map(str, reasons)))
            _log.warning("%s %s: %s; again in %.1f s", self._name, key, said, delay)
        else:
            _log.warning("%s %s: again in %.1f s", self._name, key, delay, exc_info=error)
        self.enqueue_after(key, delay)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """What a task group of failures holds; else the failure itself."""
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _leaves(each)
    else:
        yield error


def _is_usual(error: BaseException) -> bool:
    return isinstance(error, Conflict | NotFound) or (isinstance(error, ApiError) and namespace_ends(error))


def _shown(key: Hashable) -> str:
    return "/".join(filter(None, key)) if isinstance(key, tuple) else str(key)
