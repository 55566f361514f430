"""Controllers that fail alone."""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol, runtime_checkable

from wellhead.backoff import Backoff
from wellhead.health import Check, Overdue
from wellhead.waiting import first_error

_log = logging.getLogger(__name__)

_STEADY_SECONDS = 60.0
_FAILING_SECONDS = 90.0  # longer than it takes to be steady again after one failure


class Controller(Protocol):
    """What the controller manager runs. Handlers are registered at construction, so `run` may run again."""

    name: str

    async def run(self) -> None: ...

    def checks(self) -> list[Check]: ...


@runtime_checkable
class Clocked(Protocol):
    """A controller that waits for times of day."""

    def clock_was_set(self) -> None:
        """Look again: what was to come in an hour may be due."""


class Isolated:
    """Runs a controller until cancelled, again after each failure, later and later."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        self._failing = Overdue("it has been failing", _FAILING_SECONDS)

    def checks(self) -> list[Check]:
        """The controller's own, and that it doesn't fail again and again."""
        return [Check(f"{self._controller.name}-runs", self._failing.problem), *self._controller.checks()]

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        backoff = Backoff(0.5, 60.0)
        while True:
            began = loop.time()
            steady = loop.call_later(_STEADY_SECONDS, self._failing.end)
            try:
                await self._controller.run()
            except Exception as error:
                _log.exception("controller %s failed", self._controller.name)
                self._failing.begin(loop.time(), str(first_error(error)))
            finally:
                steady.cancel()
            await asyncio.sleep(backoff.next(worked=loop.time() - began))
