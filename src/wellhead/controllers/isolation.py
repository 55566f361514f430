"""Controllers that fail alone."""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

from wellhead.client.backoff import Backoff

_log = logging.getLogger(__name__)

_STEADY_SECONDS = 60.0


class Controller(Protocol):
    """What the controller manager runs. Handlers are registered at construction, so `run` may run again."""

    name: str

    async def run(self) -> None: ...


async def isolated(controller: Controller) -> None:
    """Run a controller until cancelled, again after each failure, later and later."""
    loop = asyncio.get_running_loop()
    backoff = Backoff(0.5, 60.0)
    while True:
        started = loop.time()
        try:
            await controller.run()
        except Exception:
            _log.exception("controller %s failed", controller.name)
        if loop.time() - started > _STEADY_SECONDS:
            backoff.reset()
        await asyncio.sleep(backoff.next())
