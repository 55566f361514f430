"""A store that forgets everything when its process ends: for tests and throw-away clusters."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import AsyncIterator, Sequence

from wellhead.storage.feed import Feed
from wellhead.storage.store import (
    Bounds,
    Change,
    Compacted,
    Record,
    RevisionConflict,
    Snapshot,
    StoreKey,
    Write,
)

_HISTORY = 4096
_HISTORY_BYTES = 64 * 1024 * 1024


class MemoryStore:
    """A `Store` in a dict. Its first revision comes from the clock, so that a restart repeats none."""

    shared = False

    def __init__(self, history: int = _HISTORY, history_bytes: int = _HISTORY_BYTES) -> None:
        # Microseconds: nobody writes a million times a second, so the clock stays ahead of the revisions.
        self._revision = time.time_ns() // 1000
        self._records: dict[StoreKey, Record] = {}
        self._history: deque[Change] = deque()
        self._before: dict[StoreKey, Record] = {}  # the records as of self.compacted
        self._length, self._size = history, history_bytes
        self._bytes = 0
        self._compacted = self._revision
        self._feed = Feed()

    async def open(self) -> None:
        """Nothing to do."""

    @property
    def bounds(self) -> Bounds:
        """How far back the history goes, and how far it has come."""
        return Bounds(self._compacted, self._revision)

    async def latest(self) -> int:
        """The revision of the last write."""
        return self._revision

    async def snapshot(self, revision: int | None = None) -> Snapshot:
        """Everything, as of `revision` (default: now). Raises Compacted."""
        if revision is None:
            return Snapshot(self._revision, list(self._records.values()))
        if revision < self._compacted:
            raise Compacted
        records = dict(self._before)
        for change in self._history:
            if change.revision > revision:
                break
            _apply(records, change)
        return Snapshot(revision, list(records.values()))

    async def get(self, key: StoreKey) -> Record | None:
        """What was written last under `key`."""
        return self._records.get(key)

    async def check(self) -> str:
        """Nothing can be wrong."""
        return ""

    async def transact(self, writes: Sequence[Write], *, freeing: bool = False) -> list[int]:
        """Make all these writes or none. Raises RevisionConflict."""
        at: dict[StoreKey, int] = {}
        for offset, write in enumerate(writes, start=1):
            record = self._records.get(write.key)
            actual = at.get(write.key, record.revision if record is not None else 0)
            if actual != write.expected or (write.value is None and not actual):
                raise RevisionConflict(write.key, actual)
            at[write.key] = self._revision + offset if write.value is not None else 0
        changes = [
            Change(self._revision + offset, write.key, write.value)
            for offset, write in enumerate(writes, start=1)
        ]
        for change in changes:
            _apply(self._records, change)
            self._history.append(change)
            self._bytes += len(change.value or b"")
        self._revision += len(changes)
        while len(self._history) > self._length or self._bytes > self._size:
            oldest = self._history.popleft()
            self._bytes -= len(oldest.value or b"")
            _apply(self._before, oldest)
            self._compacted = oldest.revision
        self._feed.publish(changes)
        return [change.revision for change in changes]

    async def watch(self, after: int) -> AsyncIterator[list[Change]]:
        """Every change above `after`, in batches, for ever. Raises Compacted."""
        if after < self._compacted:
            raise Compacted
        with self._feed.reader() as reader:
            if backlog := [change for change in self._history if change.revision > after]:
                yield backlog
            while True:
                yield await reader.get()

    async def close(self) -> None:
        """Nothing to do."""


def _apply(records: dict[StoreKey, Record], change: Change) -> None:
    if change.value is None:
        records.pop(change.key, None)
    else:
        records[change.key] = Record(change.key, change.value, change.revision)
