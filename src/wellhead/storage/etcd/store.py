"""The store in etcd. Whatever this process knows, another may have written meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Sequence

from wellhead.storage.etcd import compaction, layout
from wellhead.storage.etcd import rpc_pb2 as rpc
from wellhead.storage.etcd.client import EtcdClient, EtcdCompacted, EtcdError
from wellhead.storage.etcd.layout import Layout
from wellhead.storage.etcd.options import EtcdOptions
from wellhead.storage.etcd.writing import Writing
from wellhead.storage.store import (
    Bounds,
    Change,
    Compacted,
    Record,
    RevisionConflict,
    Snapshot,
    StoreFailed,
    StoreKey,
    Write,
)

_log = logging.getLogger(__name__)

_HISTORY = 4096  # of etcd's revisions, that are read again at the start
_PAGE = 1000  # records
_RECONNECT_SECONDS = 0.2


class EtcdStore:
    """A `Store` that several processes share."""

    shared = True

    def __init__(self, endpoints: Sequence[str], options: EtcdOptions) -> None:
        """Raises ValueError for endpoints that are none."""
        self._client = EtcdClient(endpoints, options)
        self._layout = Layout(options.prefix)
        self._compaction_seconds = options.compaction_seconds
        self._compacting: asyncio.Task[None] | None = None
        self._bounds = Bounds(0, 0)
        self._asking: asyncio.Task[tuple[int, int]] | None = None
        self._next: asyncio.Task[tuple[int, int]] | None = None
        self._writing = Writing(self._client, self._layout)

    async def open(self) -> None:
        """Find out how far the history goes, and start to have it cut.

        Raises:
            StoreFailed: no endpoint answers, or a certificate or key can't be read.
        """
        try:
            self._client.connect()
            note = await compaction.read_note(self._client, self._layout)
            latest, now = await self._latest()
            oldest = max(note.compacted, now - _HISTORY, 1)
            if not latest or not await self._is_kept(oldest):
                oldest = now
        except (EtcdError, OSError) as error:
            raise StoreFailed(f"etcd: {error}") from error
        latest = latest or layout.whole(now)
        self._bounds = Bounds(min(layout.whole(oldest), latest), latest)
        if self._compaction_seconds:
            self._compacting = asyncio.create_task(
                compaction.keep_compacting(self._client, self._layout, note, self._compaction_seconds)
            )

    @property
    def bounds(self) -> Bounds:
        """How far back the history went when this process began, and how far it had come."""
        return self._bounds

    async def latest(self) -> int:
        """The revision of the last write, whoever made it; 0: not known. Raises StoreFailed."""
        if self._next is None:
            self._next = asyncio.create_task(self._ask_after(self._asking))
        try:
            latest, _ = await asyncio.shield(self._next)
        except EtcdError as error:
            raise StoreFailed(f"etcd: {error}") from error
        return latest

    async def _ask_after(self, before: asyncio.Task[tuple[int, int]] | None) -> tuple[int, int]:
        """Who comes while a question is on its way can't take its answer: a write may lie between. All who
        do share the next."""
        if before is not None and not before.done():
            await asyncio.wait([before])
        self._asking, self._next = self._next, None
        return await self._latest()

    async def snapshot(self, revision: int | None = None) -> Snapshot:
        """Everything, as of `revision` (default: now). Raises Compacted, StoreFailed."""
        try:
            if revision is None:
                revision, at = await self._latest()
            else:
                at = layout.etcd_revision(revision)
                if not await self._is_kept(at):
                    at = await self._unchanged_since(revision)
            return Snapshot(revision, [record async for record in self._records(at)])
        except EtcdCompacted:
            raise Compacted from None
        except EtcdError as error:
            raise StoreFailed(f"etcd: {error}") from error

    async def get(self, key: StoreKey) -> Record | None:
        """What was written last under `key`. Raises StoreFailed."""
        try:
            answer = await self._client.range(rpc.RangeRequest(key=self._layout.key(key)))
        except EtcdError as error:
            raise StoreFailed(f"etcd: {error}") from error
        return self._record(answer.kvs[0]) if answer.kvs else None

    async def transact(self, writes: Sequence[Write], *, freeing: bool = False) -> list[int]:
        """Make all these writes or none; etcd itself knows what frees room.

        Raises RevisionConflict, StoreFull, StoreFailed.
        """
        for write in writes:
            if write.value is None and not write.expected:
                record = await self.get(write.key)
                raise RevisionConflict(write.key, 0 if record is None else record.revision)
        return await self._writing.transact(writes)

    async def check(self) -> str:
        """Why writes would fail now; "" if etcd has a leader and room."""
        try:
            await self._latest()
            alarms = await self._client.alarms()
        except EtcdError as error:
            return f"etcd: {error}"
        return f"etcd: alarm {', '.join(alarms)}" if alarms else ""

    async def watch(self, after: int) -> AsyncIterator[list[Change]]:
        """Every change above `after`, in batches, for ever, across connections. Raises Compacted."""
        seen = after
        # What belongs to the same transaction as `seen` may still be missing.
        start = max(layout.etcd_revision(seen + 1), 1)  # 0 would be: from now
        while True:
            request = rpc.WatchCreateRequest(
                key=self._layout.first, range_end=self._layout.end, start_revision=start
            )
            try:
                async for response in self._client.watch(request):
                    changes = [change for change in self._changes(response) if change.revision > seen]
                    if changes:
                        seen = changes[-1].revision
                        start = layout.etcd_revision(seen + 1)
                        yield changes
            except EtcdCompacted as cut:
                start = await self._watch_anew(seen, cut.revision)
            except EtcdError as error:
                _log.warning("the watch of etcd broke: %s", error)
            await asyncio.sleep(_RECONNECT_SECONDS)

    async def close(self) -> None:
        """Finish what is under way, if etcd answers, and let go of it."""
        await self._writing.close()
        if self._compacting is not None:
            self._compacting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._compacting
        await self._client.close()

    async def _latest(self, at: int = 0) -> tuple[int, int]:
        """The revision of the last write (0: not known) as of an etcd revision, and etcd's revision now.

        Raises EtcdError.
        """
        answer = await self._client.range(rpc.RangeRequest(key=self._layout.latest, revision=at))
        if not answer.kvs:
            return 0, answer.header.revision
        kv = answer.kvs[0]
        latest = layout.revision_of(kv.mod_revision, layout.unpacked(kv.value).place)
        return latest, answer.header.revision

    async def _unchanged_since(self, revision: int) -> int:
        """etcd's revision now, if all is as it was then: an etcd's history is cut in quiet times, too.

        Raises EtcdCompacted, EtcdError.
        """
        latest, now = await self._latest()
        if not latest or latest > revision:
            raise EtcdCompacted(f"revision {revision} is gone")
        return now

    async def _watch_anew(self, seen: int, cut: int) -> int:
        """From where a watch goes on that had seen everything up to `seen`, when the history begins at `cut`.

        Raises Compacted.
        """
        while True:
            try:
                latest, _ = await self._latest(cut)
            except EtcdCompacted:
                raise Compacted from None
            except EtcdError as error:
                _log.warning("the watch of etcd waits: %s", error)
                await asyncio.sleep(_RECONNECT_SECONDS)
                continue
            if not latest or latest > seen:
                raise Compacted
            return cut + 1

    async def _is_kept(self, etcd_revision: int) -> bool:
        """Whether records can be read as of this revision. Raises EtcdError."""
        if not etcd_revision:  # to etcd, this means now
            return False
        try:
            await self._client.range(rpc.RangeRequest(key=self._layout.latest, revision=etcd_revision))
        except EtcdCompacted:
            return False
        return True

    async def _records(self, etcd_revision: int) -> AsyncIterator[Record]:
        """All as of this revision, in pieces."""
        start, more = self._layout.first, True
        while more:
            answer = await self._client.range(
                rpc.RangeRequest(key=start, range_end=self._layout.end, limit=_PAGE, revision=etcd_revision)
            )
            for kv in answer.kvs:
                if kv.key != self._layout.latest:
                    yield self._record(kv)
                start = kv.key + b"\0"
            more = answer.more

    def _record(self, kv: rpc.KeyValue) -> Record:
        value = layout.unpacked(kv.value)
        key = self._layout.store_key(kv.key)
        return Record(key, value.data, layout.revision_of(kv.mod_revision, value.place))

    def _changes(self, response: rpc.WatchResponse) -> list[Change]:
        """etcd tells the events of a transaction together, in its order."""
        changes: list[Change] = []
        transaction, place = 0, 0
        for event in response.events:
            if event.kv.mod_revision != transaction:
                transaction, place = event.kv.mod_revision, 0
            if event.kv.key != self._layout.latest:
                value = None if event.type == rpc.Event.DELETE else layout.unpacked(event.kv.value).data
                key = self._layout.store_key(event.kv.key)
                changes.append(Change(layout.revision_of(transaction, place), key, value))
            place += 1
        return changes
