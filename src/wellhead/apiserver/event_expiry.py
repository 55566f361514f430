"""Events are hints, not state: the server forgets them after an hour, as upstream's --event-ttl does."""

from __future__ import annotations

import asyncio
import logging
from collections import deque

from wellhead.api.errors import ApiError, NotFound
from wellhead.api.resources import EVENTS
from wellhead.apiserver.registry.deletion import DeleteOptions
from wellhead.apiserver.registry.registry import Registry

_log = logging.getLogger(__name__)

_TTL = 3600.0  # seconds
_STEP = 60.0


async def expire_events(registry: Registry) -> None:
    """Delete events that nobody has written for that long, once a minute, until cancelled.

    The clock that counts is this process's: at a start, all that is there counts as new.
    """
    marks: deque[int] = deque()  # the revision at each step
    while True:
        marks.append(registry.cache.revision)
        await asyncio.sleep(_STEP)
        if len(marks) * _STEP < _TTL:
            continue
        expired = marks.popleft()
        for item in registry.collection(EVENTS).items():
            if item.revision > expired:
                continue
            try:
                await registry.delete(EVENTS, item.namespace, item.name, DeleteOptions())
            except NotFound:
                continue
            except ApiError as error:
                _log.warning("an expired event stays: %s", error)
