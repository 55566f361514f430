"""The latest changes of one resource: kept once, for all who watch it and for those who come back.

A watch is a place in the log. However many clients don't read, what is kept for them is this log; who is so
slow that the log has lost his place is cut off.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Literal

import msgspec

EventType = Literal["ADDED", "MODIFIED", "DELETED"]
_OVERHEAD = 1024  # bytes that an event takes beside its object's JSON
_PART = 64
"""Such a part of what all logs may keep together is freed at a time."""


class Item(msgspec.Struct, frozen=True, gc=False):
    """An object at a revision: its JSON (`data`), and decoded of it what selectors look at (`head`).

    Items are shared by everybody and never change.
    """

    namespace: str
    name: str
    revision: int
    data: bytes
    head: dict[str, object]


class Event(msgspec.Struct, frozen=True, gc=False):
    """A change of an object. `item` is its new state (DELETED: its last, at the deletion's revision)."""

    type: EventType
    item: Item
    previous: Item | None


class Budget:
    """Bytes that the logs of all resources may keep together: the longest gives way.

    So a flood of one resource costs the histories of the others nothing, and many floods share what there is.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._logs: list[EventLog] = []
        self._bytes = 0

    def join(self, log: EventLog) -> None:
        """Count this log's bytes, too."""
        self._logs.append(log)

    def grow(self, size: int) -> None:
        """Count bytes that a log has now (negative: that it lost); have events lost that are too much."""
        self._bytes += size
        if self._bytes <= self._most_bytes:
            return
        # To find the longest takes a look at all: it makes room for others that are still to come, too.
        enough = self._most_bytes - self._most_bytes // _PART
        while self._bytes > enough:
            longest = max(self._logs, key=lambda log: log.bytes if log.end - log.start > 1 else 0)
            if longest.end - longest.start < 2:
                return  # each has only its latest
            self._bytes -= longest.lose(self._bytes - enough)


class EventLog:
    """Events by their place: 0 is the first that there ever was; places below `start` are lost."""

    def __init__(self, oldest: int, most_bytes: int, together: Budget | None = None) -> None:
        """`most_bytes` for this log, and what all may keep `together`."""
        self._events: deque[Event] = deque()
        self._most_bytes = most_bytes
        self._together = Budget(most_bytes) if together is None else together
        self._together.join(self)
        self.bytes = 0
        """What is kept, roughly."""
        self.start = 0
        self.oldest = oldest
        """The revision before the oldest event that is kept."""

    @property
    def end(self) -> int:
        """The place of the next event."""
        return self.start + len(self._events)

    def append(self, event: Event) -> None:
        """Add an event, and lose the oldest ones that are too much."""
        self._events.append(event)
        size = len(event.item.data) + _OVERHEAD
        self.bytes += size
        while self.bytes > self._most_bytes and len(self._events) > 1:
            size -= self._pop()
        self._together.grow(size)

    def lose(self, size: int) -> int:
        """Lose events of so many bytes, though no more than half of all, unless that is the oldest alone.

        There are two at least. The answer is how many bytes were lost.
        """
        lost, most = self._pop(), self.bytes // 2
        while lost < min(size, most) and len(self._events) > 1:
            lost += self._pop()
        return lost

    def _pop(self) -> int:
        """How many bytes that was."""
        lost = self._events.popleft()
        size = len(lost.item.data) + _OVERHEAD
        self.bytes -= size
        self.start += 1
        self.oldest = lost.item.revision
        return size

    def __getitem__(self, place: int) -> Event:
        return self._events[place - self.start]

    def place_after(self, revision: int) -> int:
        """The place of the first event above the revision, which isn't below `oldest`."""
        return self.end - sum(1 for _ in self.newest_after(revision))

    def newest_after(self, revision: int) -> Iterator[Event]:
        """The events above the revision, the newest first."""
        for event in reversed(self._events):
            if event.item.revision <= revision:
                break
            yield event
