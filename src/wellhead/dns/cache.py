"""Finished replies by the very bytes that asked, forgotten when what they rest on changes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from wellhead.dns.zone import Fact


@dataclass(slots=True)
class Entry:
    """A reply without its id, in as many orders as it has; and what metrics count it as."""

    replies: tuple[bytes, ...]
    type: str
    zone: str
    rcode: str
    facts: tuple[Fact, ...] = ()
    turn: int = 0

    def next(self) -> bytes:
        """The reply whose turn it is."""
        replies = self.replies
        if len(replies) == 1:
            return replies[0]
        self.turn = turn = (self.turn + 1) % len(replies)
        return replies[turn]


class Cache:
    """At most `size` entries; the one that came first goes first."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._entries: dict[bytes, Entry] = {}
        self._resting_on: defaultdict[Fact, set[bytes]] = defaultdict(set)
        self.get = self._entries.get

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, key: bytes, entry: Entry) -> None:
        """Keep it; a key that is kept already must not be given."""
        if len(self._entries) >= self._size:
            self._forget(next(iter(self._entries)))
        self._entries[key] = entry
        for fact in entry.facts:
            self._resting_on[fact].add(key)

    def changed(self, facts: Iterable[Fact]) -> None:
        """Forget what rests on these."""
        for fact in facts:
            for key in list(self._resting_on.get(fact, ())):
                self._forget(key)

    def _forget(self, key: bytes) -> None:
        for fact in self._entries.pop(key).facts:
            keys = self._resting_on[fact]
            keys.discard(key)
            if not keys:
                del self._resting_on[fact]
