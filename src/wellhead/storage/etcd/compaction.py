"""How an etcd's history is cut: every so many seconds, to what it was that long ago.

Of several API servers one does it each time: who replaces the note of the last cut. Source of the procedure:
staging/src/k8s.io/apiserver/pkg/storage/etcd3/compact.go.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import NamedTuple

from wellhead.storage.etcd import rpc_pb2 as rpc
from wellhead.storage.etcd.client import EtcdClient, EtcdCompacted, EtcdError, EtcdFull
from wellhead.storage.etcd.layout import Layout

_log = logging.getLogger(__name__)


class Note(NamedTuple):
    """What is known of the cuts: etcd's revision to which the history is cut, and the next one's."""

    compacted: int = 0
    next: int = 0
    written_at: int = 0
    """The etcd revision of the note itself; 0: there is none."""


async def read_note(client: EtcdClient, layout: Layout) -> Note:
    """The note that is kept in etcd. Raises EtcdError."""
    return _note(await client.range(rpc.RangeRequest(key=layout.compaction)))


async def compact(client: EtcdClient, layout: Layout, seen: Note) -> Note:
    """Cut the history, unless another did since `seen`; the note as it is now. Raises EtcdError."""
    now = (await client.range(rpc.RangeRequest(key=layout.compaction))).header.revision
    text = f"{seen.next} {now}"
    key = layout.compaction
    try:
        answer, _ = await client.transact(
            rpc.TxnRequest(
                compare=[rpc.Compare(target=rpc.Compare.MOD, key=key, mod_revision=seen.written_at)],
                success=[rpc.RequestOp(request_put=rpc.PutRequest(key=key, value=text.encode()))],
                failure=[rpc.RequestOp(request_range=rpc.RangeRequest(key=key))],
            )
        )
    except EtcdFull:
        # It takes no note. What it needs most is to be cut, by whoever comes.
        await _cut(client, seen.next)
        return Note(seen.next, now, seen.written_at)
    if not answer.succeeded:
        return _note(answer.responses[0].response_range)
    await _cut(client, seen.next)
    return Note(seen.next, now, answer.header.revision)


async def _cut(client: EtcdClient, revision: int) -> None:
    if revision:
        with contextlib.suppress(EtcdCompacted):
            await client.compact(revision)


async def keep_compacting(client: EtcdClient, layout: Layout, note: Note, seconds: float) -> None:
    """Until cancelled. What fails is tried again the next time."""
    while True:
        await asyncio.sleep(seconds)
        try:
            note = await compact(client, layout, note)
        except EtcdError as error:
            _log.warning("the history of etcd was not cut: %s", error)


def _note(answer: rpc.RangeResponse) -> Note:
    if not answer.kvs:
        return Note()
    compacted, _, following = answer.kvs[0].value.decode(errors="replace").partition(" ")
    if not (compacted.isdecimal() and following.isdecimal()):
        return Note(written_at=answer.kvs[0].mod_revision)
    return Note(int(compacted), int(following), answer.kvs[0].mod_revision)
