"""Putting back what others have changed: at once, but only so often."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from wellhead.health import Attempts, Check
from wellhead.linux.nft import NftError
from wellhead.pace import Pace

_log = logging.getLogger(__name__)

_RESTORING_SECONDS = 30.0

Say = Callable[[str], None]


class Restoring:
    """Calls `restore` after each call of `disturbed`, several of which may be seen to at once.

    `name` is that of what is kept, for whoever asks how that goes. What `restore` returns, if it isn't empty,
    is told by `say`: what was put back. It may fail, and is called again then.
    """

    def __init__(self, name: str, restore: Callable[[], Awaitable[str]], say: Say) -> None:
        self._attempts = Attempts(name, f"{name} are not as they should be", _RESTORING_SECONDS)
        self._restore = restore
        self._say = say
        self._disturbed = asyncio.Event()

    def checks(self) -> list[Check]:
        """That what was changed is put back in time."""
        return self._attempts.checks()

    def disturbed(self) -> None:
        """Somebody has changed something, or may have."""
        self._disturbed.set()

    async def run(self) -> None:
        """Until cancelled."""
        clock = asyncio.get_running_loop().time
        pace = Pace()
        while True:
            await self._disturbed.wait()
            await asyncio.sleep(pace.not_before(clock()) - clock())
            self._disturbed.clear()
            self._attempts.start(clock())
            try:
                said = await self._restore()
            except (NftError, OSError) as error:
                _log.warning("can't put back what was changed, and will try again: %s", error)
                self._attempts.fail(clock(), str(error))
                self._disturbed.set()
            else:
                self._attempts.succeed()
                if not said:
                    continue
                self._say(said)
            pace.done(clock())
