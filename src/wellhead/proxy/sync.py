"""When changes are put in force: at once when idle, gathered while a sync runs, again after a failure."""

from __future__ import annotations

import asyncio
import logging
import resource
import time
from collections.abc import Awaitable, Callable

from wellhead.backoff import Backoff
from wellhead.waiting import comes

log = logging.getLogger(__name__)


_LONG = 0.005  # seconds; in nftables mode, hardly a change takes so long
_REST, _LONGEST_REST = 19.0, 1.0


def _computed() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _rest_after(seconds: float) -> float:
    return min(_REST * max(seconds - _LONG, 0.0), _LONGEST_REST)


class SyncFailed(Exception):
    """Something could not be put in force. Logged and reported; the sync is tried again."""


class SyncLoop:
    """Calls `sync` after each `request`, and `check` every `check_period` seconds and after `check_now`.

    The first request after a rest is served at once. Those that come during a sync are served by one more,
    which starts no sooner than `min_period` seconds after the last one started, nor before as much time has
    passed again as that one took: however fast the changes and slow the kernel, half the time is left to
    others. What computes for long, as iptables mode with thousands of Services, leaves them nineteen
    twentieths of a processor, but is never put off for more than a second. The first sync, long as it is, is
    followed by no rest: it comes once.
    """

    def __init__(
        self,
        sync: Callable[[], Awaitable[None]],
        check: Callable[[], Awaitable[None]],
        *,
        min_period: float,
        check_period: float,
        failed: Callable[[SyncFailed], None],
        computed: Callable[[], float] = _computed,
    ) -> None:
        """`computed` says how many seconds of processor time this process and its children have taken."""
        self._computed = computed
        self._sync = sync
        self._check = check
        self._min_period = min_period
        self._check_period = check_period
        self._failed = failed
        self._requested = False
        self._check_asked = False
        self._wake = asyncio.Event()
        self._checked = asyncio.Condition()

    def request(self) -> None:
        """There is something to put in force."""
        self._requested = True
        self._wake.set()

    async def check_now(self) -> None:
        """Have `check` called soon, also if it fails, and wait until it has been."""
        self._check_asked = True
        self._wake.set()
        async with self._checked:
            await self._checked.wait_for(lambda: not self._check_asked)

    async def run(self) -> None:
        """Serve requests until cancelled."""
        backoff = Backoff(0.2, 30.0)
        now = asyncio.get_running_loop().time
        earliest = now()
        next_check = now() + self._check_period
        first = True
        while True:
            if await comes(self._wake, max(0.0, next_check - now())):
                await asyncio.sleep(earliest - now())
            started, computed, rests = now(), self._computed(), not first
            self._wake.clear()
            requested, self._requested = self._requested, False
            try:
                if requested:
                    await self._sync()
                    first = False
                if self._check_asked or now() >= next_check:
                    await self._check()
                backoff.reset()
            except SyncFailed as error:
                delay = backoff.next()
                log.error("sync failed, next attempt in %.1f s: %s", delay, error)
                self._failed(error)
                await asyncio.sleep(delay)
                self.request()
            if self._check_asked:
                self._check_asked = False
                async with self._checked:
                    self._checked.notify_all()
            ended = now()
            rest = max(ended - started, _rest_after(self._computed() - computed)) if rests else 0.0
            earliest = max(started + self._min_period, ended + rest)
            if ended >= next_check:
                next_check = ended + self._check_period
