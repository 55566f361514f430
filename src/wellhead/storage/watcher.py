"""One client's watch: its place in the log of changes, and what of it the client is to see."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from wellhead.storage.event_log import Event, EventLog, EventType, Item

_BATCH = 64 * 1024  # bytes of JSON that a watcher holds at a time, or one event

_MANY, _GATHERING_SECONDS = 4, 0.05
"""Where so many events came at once, and no more are there, the next are handed out so much later, together:
a message costs its sender and its reader more than the events in it."""

Predicate = Callable[[Item], bool]


class WatchOverflow(Exception):
    """The client didn't take its events in time."""


class Watcher:
    """The events of one collection that one client asked for."""

    def __init__(
        self, log: EventLog, place: int, namespace: str | None, matches: Predicate | None, after: int = 0
    ) -> None:
        self._log = log
        self.after = after
        """What happens up to this revision isn't for it, even if it hasn't happened yet."""
        self._place = place
        self._namespace = namespace
        self._matches = matches
        self._closed = False
        self.on_overflow: Callable[[], None] = lambda: None
        """Called once when the client falls too far behind: it may be stuck in the middle of a write."""
        self._wake = asyncio.Event()
        self._not_before = 0.0
        if place < log.end:
            self._wake.set()

    def notice(self, event: Event) -> bool:
        """Take notice of the event that was just added to the log; whether the client is too slow for it."""
        if self._place < self._log.start:
            if self._place >= 0:
                self._place = -1  # lost
                self._wake.set()
                self.on_overflow()
                return True
        elif self._place == self._log.end - 1 and self.view(event) is None:
            self._place += 1
        else:
            self._wake.set()
        return False

    def view(self, event: Event) -> EventType | None:
        """As what this client sees it: an object that starts to match is ADDED, one that stops DELETED."""
        if event.item.revision <= self.after:
            return None
        if self._namespace is not None and event.item.namespace != self._namespace:
            return None
        if self._matches is None:
            return event.type
        before = event.previous is not None and self._matches(event.previous)
        after = event.type != "DELETED" and self._matches(event.item)
        if after:
            return "MODIFIED" if before else "ADDED"
        return "DELETED" if before else None

    async def next(self) -> list[tuple[EventType, Item]]:
        """The next events, as many as fit into a batch; waits for one. Empty when the watch is to end.

        Raises WatchOverflow.
        """
        while True:
            await self._wake.wait()
            loop = asyncio.get_running_loop()
            if loop.time() < self._not_before:
                await asyncio.sleep(self._not_before - loop.time())
            if 0 <= self._place < self._log.start:  # lost for what other resources' logs needed
                self._place = -1
                self.on_overflow()
            if self._place < 0:
                raise WatchOverflow
            batch: list[tuple[EventType, Item]] = []
            size = 0
            while self._place < self._log.end and size < _BATCH:
                event = self._log[self._place]
                self._place += 1
                if (seen := self.view(event)) is not None:
                    batch.append((seen, event.item))
                    size += len(event.item.data)
            if self._place == self._log.end and not self._closed:
                self._wake.clear()
                if len(batch) >= _MANY:
                    self._not_before = loop.time() + _GATHERING_SECONDS
            if batch or self._closed:
                return batch

    @property
    def caught_up(self) -> bool:
        """Whether every event so far was taken: then a client may go on from the latest revision."""
        return self._place == self._log.end

    def close(self) -> None:
        """End the watch, after what is left of the log."""
        self._closed = True
        self._wake.set()
