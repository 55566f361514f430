"""What every data plane does alike: wishes are gathered, followed together, and again until that works."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from wellhead.backoff import Backoff
from wellhead.health import Attempts, Check
from wellhead.linux.nft import NftError
from wellhead.waiting import comes

_log = logging.getLogger(__name__)

W = TypeVar("W")

_FOLLOWING_SECONDS = 30.0


class PlaneError(Exception):
    """A data plane doesn't follow. It is tried again, so this is a delay, not a loss."""


class Follower(Generic[W]):
    """Follows wishes. Those that come while others are being followed are followed together, afterwards.

    `name` says who doesn't follow, in the log; `none` makes wishes that ask for nothing. `gather` is for how
    many seconds a first wish waits for others.
    """

    def __init__(self, name: str, none: Callable[[], W], gather: float = 0.0) -> None:
        self.wishes = none()
        """What was asked for, and isn't being followed yet: add to it, then call `submitted`."""
        self._name = name
        self._none = none
        slug = name.removeprefix("the ").replace(" ", "-").translate({ord("("): None, ord(")"): None})
        self._attempts = Attempts(slug, f"{name} does not follow", _FOLLOWING_SECONDS)
        self._gather = gather
        self._waiters: list[asyncio.Future[None]] = []
        self._wake = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None

    def checks(self) -> list[Check]:
        """That a change does not take too long; that what is wished for is followed in the end."""
        return self._attempts.checks()

    def submitted(self) -> asyncio.Future[None]:
        """Follow `wishes` from now on. The future is done when that is so, or raises PlaneError."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # Nobody has to look at it: an error is logged, and what failed tried again.
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._waiters.append(future)
        self.wake(self._gather)
        return future

    def wake(self, after: float = 0.0) -> None:
        """Look, in so many seconds at most, whether there is anything to follow."""
        if not after:
            self._wake.set()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(after, self._wake.set)

    async def run(self, follow: Callable[[W], Awaitable[float | None]]) -> None:
        """Call `follow` with the wishes whenever there are any, and once at first, until cancelled.

        It is called again after the seconds that it returns, also without any. One that fails must have
        remembered what it was asked for: the next call does all of it.
        """
        now = asyncio.get_running_loop().time
        backoff = Backoff(0.05, 10.0)
        again: float | None = 0.0
        waiters: list[asyncio.Future[None]] = []
        try:
            while True:
                await comes(self._wake, again)
                self._wake.clear()
                if self._timer is not None:
                    self._timer.cancel()
                    self._timer = None
                wishes, self.wishes = self.wishes, self._none()
                waiters, self._waiters = self._waiters, []
                self._attempts.start(now())
                try:
                    again = await follow(wishes)
                except (PlaneError, NftError, OSError) as error:
                    self._attempts.fail(now(), str(error))
                    _settle(waiters, PlaneError(str(error)))
                    delay = backoff.next()
                    _log.error("%s does not follow, again in %.1f s: %s", self._name, delay, error)
                    await asyncio.sleep(delay)
                    again = 0.0
                else:
                    self._attempts.succeed()
                    _settle(waiters, None)
                    backoff.reset()
        finally:
            for waiter in (*waiters, *self._waiters):
                waiter.cancel()


def _settle(waiters: list[asyncio.Future[None]], error: PlaneError | None) -> None:
    for waiter in waiters:
        if waiter.done():
            continue
        if error is None:
            waiter.set_result(None)
        else:
            waiter.set_exception(error)
