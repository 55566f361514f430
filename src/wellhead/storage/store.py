"""What the API server asks of a store: get, snapshot, transact, and watch by revision.

A store maps keys to bytes and numbers its history: every write gets the next revision, a positive number that
is never given twice, not even after a restart. `watch` delivers the writes in that order. The semantics are
those of etcd v3 (a write may require that its key was last written at a given revision): etcd is one of the
stores behind this interface.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple, Protocol

import msgspec


class StoreKey(NamedTuple):
    """Names one object: resource ("pods", "deployments.apps"), namespace ("" without one), name."""

    resource: str
    namespace: str
    name: str


class Record(msgspec.Struct, frozen=True, gc=False):
    """What is stored under a key, and the revision of the write that put it there."""

    key: StoreKey
    value: bytes
    revision: int


class Write(msgspec.Struct, frozen=True, gc=False):
    """Store `value` under `key`, or delete the key when it is None.

    `expected` is the revision at which the key must have been written last; 0: it must not exist.
    """

    key: StoreKey
    value: bytes | None
    expected: int


class Change(msgspec.Struct, frozen=True, gc=False):
    """A write that happened. `value` is None for a deletion."""

    revision: int
    key: StoreKey
    value: bytes | None


class Snapshot(NamedTuple):
    """All records as they were at a revision."""

    revision: int
    records: list[Record]


class Bounds(NamedTuple):
    """The oldest revision that `snapshot` and `watch` can start from, and the latest one."""

    oldest: int
    latest: int


class RevisionConflict(Exception):
    """A write expected its key at another revision than `actual` (0: there is no such key)."""

    def __init__(self, key: StoreKey, actual: int) -> None:
        super().__init__(f"{key} is at revision {actual}")
        self.key = key
        self.actual = actual


class Compacted(Exception):
    """The history after the revision that was asked for is no longer kept."""


class StoreFailed(Exception):
    """The write could not be made durable, and nothing of it was kept: the disk is full or broken.

    Every write that was on its way at that moment fails with it. Writing again may succeed. When a store
    across a network doesn't answer, the message says that it is not known whether the write was made.
    """


class StoreFull(StoreFailed):
    """There is no room left for a write that isn't `freeing`."""


class Store(Protocol):
    """Each method may be called from one event loop only."""

    shared: bool
    """Whether other processes write to it, too."""

    async def open(self) -> None:
        """Make the store ready.

        Raises:
            StoreFailed: when it can't be read, belongs to another process, or has a newer schema.
        """

    @property
    def bounds(self) -> Bounds:
        """How far back the history goes, and how far it has come."""

    async def latest(self) -> int:
        """The revision of the last write that was acknowledged to anybody. Raises StoreFailed."""

    async def snapshot(self, revision: int | None = None) -> Snapshot:
        """Everything, as of `revision` (default: now). Raises Compacted."""

    async def get(self, key: StoreKey) -> Record | None:
        """What was written last under `key`."""

    async def transact(self, writes: Sequence[Write], *, freeing: bool = False) -> list[int]:
        """Make all these writes or none; the answer is their revisions. They are durable when it returns.

        They are at most 64, each of another key.
        Those that serve to free room, as deletions do, are made on a full disk too.

        Raises:
            RevisionConflict: a key is not at the expected revision.
            StoreFull, StoreFailed: nothing was written.
        """

    async def check(self) -> str:
        """Why writes would fail now, found out by one; "" if they work."""

    def watch(self, after: int) -> AsyncIterator[list[Change]]:
        """Every change with a revision above `after`, in order, in batches, for ever.

        Raises:
            Compacted: at once if `after` is too old, later if the reader falls too far behind.
        """

    async def close(self) -> None:
        """Finish the writes under way and let go of everything."""
