"""One client's watch: what has happened and hasn't been sent yet, within bounds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal

import msgspec

EventType = Literal["ADDED", "MODIFIED", "DELETED"]

# A client that is this many events behind will do better to list again.
_LIMIT = 10_000


class Item(msgspec.Struct, frozen=True, gc=False):
    """An object at a revision: its JSON (`data`), and decoded of it what selectors look at (`head`).

    Items are shared by everybody and never change.
    """

    namespace: str
    name: str
    revision: int
    data: bytes
    head: dict[str, object]


Predicate = Callable[[Item], bool]


class Event(msgspec.Struct, frozen=True, gc=False):
    """A change of an object. `item` is its new state (DELETED: its last, at the deletion's revision)."""

    type: EventType
    item: Item
    previous: Item | None


class WatchOverflow(Exception):
    """The client didn't take its events in time."""


class Watcher:
    """The events of one collection that one client asked for."""

    def __init__(self, namespace: str | None, matches: Predicate | None) -> None:
        self._namespace = namespace
        self._matches = matches
        self._pending: list[tuple[EventType, Item]] = []
        self._overflowed = False
        self._closed = False
        self.on_overflow: Callable[[], None] = lambda: None
        """Called once when the client falls too far behind: it may be stuck in the middle of a write."""
        self._wake = asyncio.Event()

    def offer(self, event: Event) -> None:
        """Queue the event if this client is to see it."""
        if self._overflowed:
            return
        seen = self.view(event)
        if seen is None:
            return
        if len(self._pending) >= _LIMIT:
            self._overflowed = True
            self._pending.clear()
            self.on_overflow()
        else:
            self._pending.append((seen, event.item))
        self._wake.set()

    def view(self, event: Event) -> EventType | None:
        """As what this client sees it: an object that starts to match is ADDED, one that stops DELETED."""
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
        """The events since the last call; waits for at least one. Empty when the watch is to end.

        Raises WatchOverflow.
        """
        await self._wake.wait()
        if self._overflowed:
            raise WatchOverflow
        pending = self._pending
        self._pending = []
        if not self._closed:
            self._wake.clear()
        return pending

    def close(self) -> None:
        """End the watch, after what is queued."""
        self._closed = True
        self._wake.set()
