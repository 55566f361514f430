"""The end of a container's run: why, and until when it may take. The time may become shorter meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from wellhead.waiting import before, comes


class Ending:
    """Begins at most once; a second `begin` can only shorten the time."""

    def __init__(self) -> None:
        self._begun = asyncio.Event()
        self._why = ""
        self._at = 0.0  # the loop's time
        self._moved = asyncio.Event()
        self.abrupt = False
        """Whether it is to be without hook and signal."""

    @property
    def begun(self) -> bool:
        return self._begun.is_set()

    def begin(self, why: str, grace: float) -> None:
        """End for this reason, within `grace` seconds."""
        at = asyncio.get_running_loop().time() + grace
        if not self.begun:
            self._why, self._at = why, at
        self._at = min(self._at, at)
        self._begun.set()
        self._moved.set()

    def at_least(self, seconds: float) -> None:
        """Let there be that much time from now on."""
        self._at = max(self._at, asyncio.get_running_loop().time() + seconds)

    async def told(self) -> str:
        """Wait for the beginning: the reason."""
        await self._begun.wait()
        return self._why

    async def deadline(self) -> None:
        """Wait until the time is over."""
        clock = asyncio.get_running_loop().time
        while (left := self._at - clock()) > 0:
            self._moved.clear()
            await comes(self._moved, left)

    async def before_deadline(self, hook: Coroutine[Any, Any, None]) -> None:
        """Run a hook, but not beyond the deadline. Raises HookFailed."""
        await before(hook, self.deadline())
