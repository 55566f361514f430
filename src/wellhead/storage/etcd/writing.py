"""How transactions become etcd's.

Concurrent ones are gathered, and a group is one transaction of etcd's, which it makes whole or not at all. If
it doesn't, those are left out whom somebody else has overtaken; what is refused for other reasons (etcd is
full) is tried one by one.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence

from wellhead.storage.etcd import layout
from wellhead.storage.etcd import rpc_pb2 as rpc
from wellhead.storage.etcd.client import EtcdClient, EtcdError, EtcdFull, EtcdUnreachable
from wellhead.storage.etcd.layout import Layout, Value
from wellhead.storage.gathering import Gathering
from wellhead.storage.pending import Pending, fail, succeed
from wellhead.storage.store import RevisionConflict, StoreFailed, StoreFull, Write

# etcd takes 1.5 MiB in a request unless told otherwise.
_GROUP_BYTES = 512 << 10
_FINISH_SECONDS = 2.0


class Writing:
    """The writes of one process."""

    def __init__(self, client: EtcdClient, layout_: Layout) -> None:
        self._client = client
        self._layout = layout_
        self._gathering = Gathering(self._begin, layout.PLACES, _GROUP_BYTES, distinct=True)
        self._group: asyncio.Task[None] | None = None
        self._is_closed = False

    async def transact(self, writes: Sequence[Write]) -> list[int]:
        """Make all these writes or none. Raises RevisionConflict, StoreFull, StoreFailed."""
        if len(writes) > layout.PLACES:
            raise ValueError(f"{len(writes)} writes in one transaction, of at most {layout.PLACES}")
        if self._is_closed:
            raise StoreFailed("the store is closed")
        answer: asyncio.Future[list[int]] = asyncio.get_running_loop().create_future()
        self._gathering.add(Pending(writes, answer))
        return await answer

    async def close(self) -> None:
        """Finish what is under way, if etcd answers."""
        self._is_closed = True
        for group in self._gathering.rest():
            for pending in group:
                fail(pending.answer, StoreFailed("the store is closed"))
        if self._group is not None:
            await asyncio.wait((self._group,), timeout=_FINISH_SECONDS)
            self._group.cancel()

    def _begin(self, group: list[Pending]) -> None:
        self._group = asyncio.create_task(self._write(group))

    async def _write(self, group: list[Pending]) -> None:
        """Make a group's transactions and answer them."""
        left = group
        try:
            while len(left) > 1:
                before, left = left, await self._made_together(left)
                if len(left) == len(before):
                    break
            await asyncio.gather(*map(self._made_alone, left))
        except asyncio.CancelledError:
            for pending in group:
                fail(
                    pending.answer, StoreFailed("the store is closed; whether this was written is not known")
                )
            raise
        except Exception as error:  # nobody may wait for ever
            for pending in group:
                fail(pending.answer, error)
        finally:
            self._gathering.done()

    async def _made_together(self, group: list[Pending]) -> list[Pending]:
        """Those that aren't answered: of them, nothing was written."""
        writes = [write for pending in group for write in pending.writes]
        nonce = os.urandom(layout.NONCE_BYTES)
        try:
            answer, repeated = await self._client.transact(self._request(writes, nonce))
        except EtcdUnreachable as error:
            for pending in group:
                fail(pending.answer, _unknown(error))
            return []
        except EtcdError:  # each hears of his own
            return group
        made_at: int | None = answer.header.revision
        found = [response.response_range for response in answer.responses]
        if not answer.succeeded:
            made_at = _made_before(writes, found, nonce, answer.header.revision) if repeated else None
        if made_at:
            revisions = iter(_revisions(made_at, len(writes)))
            for pending in group:
                succeed(pending.answer, [next(revisions) for _ in pending.writes])
            return []
        ranges = iter(found)
        return [each for each in group if not self._is_overtaken(each, [next(ranges) for _ in each.writes])]

    def _is_overtaken(self, pending: Pending, found: list[rpc.RangeResponse]) -> bool:
        """Whether its conditions didn't hold, which it is told."""
        if conflict := _conflict(pending.writes, found):
            fail(pending.answer, conflict)
        return conflict is not None

    async def _made_alone(self, pending: Pending) -> None:
        try:
            revisions = await self._transacted(pending.writes)
        except (RevisionConflict, StoreFailed) as error:
            fail(pending.answer, error)
        else:
            succeed(pending.answer, revisions)

    async def _transacted(self, writes: Sequence[Write]) -> list[int]:
        """One transaction by itself. Raises RevisionConflict, StoreFull, StoreFailed."""
        nonce = os.urandom(layout.NONCE_BYTES)
        try:
            try:
                answer, repeated = await self._client.transact(self._request(writes, nonce))
            except EtcdFull:
                if any(write.value is not None for write in writes):
                    raise
                answer, repeated = await self._client.transact(self._request(writes, None))
        except EtcdFull as error:
            raise StoreFull(f"etcd: {error}") from error
        except EtcdUnreachable as error:
            raise _unknown(error) from error
        except EtcdError as error:
            raise StoreFailed(f"etcd: {error}") from error
        if answer.succeeded:
            return _revisions(answer.header.revision, len(writes))
        found = [response.response_range for response in answer.responses]
        if repeated and (made_at := _made_before(writes, found, nonce, answer.header.revision)):
            return _revisions(made_at, len(writes))
        raise _conflict(writes, found) or StoreFailed("etcd refused a write whose conditions hold")

    def _request(self, writes: Sequence[Write], nonce: bytes | None) -> rpc.TxnRequest:
        """Without a nonce: deletions alone, for an etcd that is full."""
        request = rpc.TxnRequest()
        for place, write in enumerate(writes):
            key = self._layout.key(write.key)
            request.compare.add(
                target=rpc.Compare.MOD, key=key, mod_revision=layout.etcd_revision(write.expected)
            )
            if write.value is None:
                request.success.add(request_delete_range=rpc.DeleteRangeRequest(key=key))
            elif nonce is not None:
                value = layout.packed(Value(place, nonce, write.value))
                request.success.add(request_put=rpc.PutRequest(key=key, value=value))
            request.failure.add(request_range=rpc.RangeRequest(key=key))
        latest = self._layout.latest
        if nonce is None:
            request.success.add(request_delete_range=rpc.DeleteRangeRequest(key=latest))
        else:
            last = layout.packed(Value(len(writes) - 1, nonce, b""))
            request.success.add(request_put=rpc.PutRequest(key=latest, value=last))
        return request


def _conflict(writes: Sequence[Write], found: Sequence[rpc.RangeResponse]) -> RevisionConflict | None:
    for write, range_ in zip(writes, found, strict=True):
        actual = _revision(range_.kvs[0]) if range_.kvs else 0
        if actual != write.expected:
            return RevisionConflict(write.key, actual)
    return None


def _revision(kv: rpc.KeyValue) -> int:
    return layout.revision_of(kv.mod_revision, layout.unpacked(kv.value).place)


def _revisions(etcd_revision: int, count: int) -> list[int]:
    return [layout.revision_of(etcd_revision, place) for place in range(count)]


def _unknown(error: EtcdUnreachable) -> StoreFailed:
    return StoreFailed(f"etcd: {error}; whether this was written is not known")


def _made_before(
    writes: Sequence[Write], found: Sequence[rpc.RangeResponse], nonce: bytes, now: int
) -> int | None:
    """etcd's revision at which an earlier attempt was carried out, if the records are as it left them, or if
    there is one that only it can have left: then it wrote the others, too."""
    for range_ in found:
        if range_.kvs and layout.unpacked(range_.kvs[0].value).nonce == nonce:
            return range_.kvs[0].mod_revision
    only_deletions = all(write.value is None for write in writes)
    return now if only_deletions and not any(range_.kvs for range_ in found) else None
