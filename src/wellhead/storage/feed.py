"""Handing a store's changes to those who watch it."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterator

from wellhead.storage.store import Change, Compacted

# A reader inside this process falls this far behind only when its event loop is stuck.
_LIMIT = 100_000


class Feed:
    """Fans batches of changes out to readers, in order, without ever waiting for one."""

    def __init__(self) -> None:
        self._readers: set[Reader] = set()

    def publish(self, changes: list[Change]) -> None:
        """Hand these changes to every reader. Call on the event loop."""
        for reader in self._readers:
            reader.put(changes)

    @contextlib.contextmanager
    def reader(self) -> Iterator[Reader]:
        """A reader of everything that is published while the context lasts."""
        reader = Reader()
        self._readers.add(reader)
        try:
            yield reader
        finally:
            self._readers.discard(reader)


class Reader:
    """One reader's place in the feed."""

    def __init__(self) -> None:
        self._pending: deque[list[Change]] = deque()
        self._length = 0
        self._wake = asyncio.Event()

    def put(self, changes: list[Change]) -> None:
        """Queue changes; past the limit they are dropped, and the reader will hear of it."""
        if self._length <= _LIMIT:
            self._pending.append(changes)
            self._length += len(changes)
        self._wake.set()

    async def get(self) -> list[Change]:
        """Everything published since the last call; waits for at least one change.

        Raises Compacted when the reader has fallen too far behind.
        """
        await self._wake.wait()
        if self._length > _LIMIT:
            raise Compacted
        batch = [change for changes in self._pending for change in changes]
        self._pending.clear()
        self._length = 0
        self._wake.clear()
        return batch
