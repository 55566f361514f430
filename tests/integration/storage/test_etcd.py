"""What only etcd can do to its store: members that die, a history that others cut, a quota, foreign keys."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.etcd import Etcd, running
from tests.patience import PATIENCE, reached
from wellhead.storage.etcd.client import EtcdClient
from wellhead.storage.etcd.compaction import Note, compact, read_note
from wellhead.storage.etcd.layout import Layout, Value, packed, unpacked
from wellhead.storage.etcd.options import EtcdOptions
from wellhead.storage.etcd.rpc_pb2 import PutRequest, RequestOp, TxnRequest
from wellhead.storage.etcd.store import EtcdStore
from wellhead.storage.location import store_at
from wellhead.storage.store import (
    Change,
    Compacted,
    RevisionConflict,
    StoreFailed,
    StoreFull,
    StoreKey,
    Write,
)


def key(name: str) -> StoreKey:
    return StoreKey("apps/deployments", "default", name)


def store_of(etcd: Etcd, prefix: str = "/wellhead", call_seconds: float = 10.0) -> EtcdStore:
    options = EtcdOptions(prefix=prefix, compaction_seconds=0, call_seconds=call_seconds)
    store = store_at(etcd.storage, options)
    assert isinstance(store, EtcdStore)
    return store


@pytest.fixture
async def store(etcd: Etcd, tmp_path: Path) -> AsyncIterator[EtcdStore]:
    store = store_of(etcd, f"/{tmp_path.name}")
    await store.open()
    yield store
    await store.close()


async def put(store: EtcdStore, name: str, value: bytes = b"x", expected: int = 0) -> int:
    (revision,) = await store.transact([Write(key(name), value, expected)])
    return revision


async def collect(store: EtcdStore, after: int, found: list[Change]) -> None:
    async for batch in store.watch(after):
        found += batch


async def test_nothing_is_lost_or_repeated_while_members_die_and_hang(tmp_path: Path) -> None:
    with running(tmp_path, 3) as etcd:
        store, reader = (store_of(etcd, call_seconds=PATIENCE) for _ in range(2))
        await store.open()
        await reader.open()
        seen: list[Change] = []
        watching = asyncio.create_task(collect(reader, reader.bounds.latest, seen))
        acknowledged: list[int] = []
        disturbed = asyncio.Event()

        async def write() -> None:
            for number in itertools.count():
                acknowledged.append(await put(store, f"n{number}"))
                if disturbed.is_set():
                    return

        async def more(count: int) -> None:
            enough = len(acknowledged) + count
            await reached(lambda: len(acknowledged) >= enough)

        async def disturb() -> None:
            for member in etcd.members:
                member.kill()
                await more(20)
                member.start()
                await reached(member.is_up)
                member.pause(True)
                await more(20)
                member.pause(False)
            disturbed.set()

        await asyncio.gather(write(), disturb())
        latest = await store.latest()
        await reached(lambda: bool(seen) and seen[-1].revision == latest)
        watching.cancel()
        assert [change.revision for change in seen] == acknowledged
        assert [change.key.name for change in seen] == [f"n{number}" for number in range(len(acknowledged))]
        await store.close()
        await reader.close()


async def test_a_history_that_is_cut_while_nothing_changes_costs_nobody_his_watch(
    store: EtcdStore, etcd: Etcd, tmp_path: Path
) -> None:
    revision = await put(store, "a")
    client, layout = _client(etcd), Layout(f"/{tmp_path.name}")
    note = await compact(client, layout, Note())
    note = await compact(client, layout, note)  # the first only says where to cut
    note = await compact(client, layout, note)
    assert note.compacted * 64 > revision
    seen: list[Change] = []
    watching = asyncio.create_task(collect(store, revision, seen))
    assert [record.revision for record in (await store.snapshot(revision)).records] == [revision]
    again = await put(store, "b")
    await reached(lambda: [change.revision for change in seen] == [again])
    watching.cancel()
    another = store_of(etcd, layout.prefix)
    await another.open()
    assert another.bounds.latest == again
    await another.close()
    await client.close()


async def test_what_is_cut_off_is_gone(store: EtcdStore, etcd: Etcd, tmp_path: Path) -> None:
    first = await put(store, "a")
    second = await put(store, "a", b"2", first)
    client, layout = _client(etcd), Layout(f"/{tmp_path.name}")
    note = await compact(client, layout, Note())
    await put(store, "a", b"3", second)
    await compact(client, layout, note)
    with pytest.raises(Compacted):
        await store.snapshot(first)
    with pytest.raises(Compacted):
        await collect(store, first, [])
    await client.close()


async def test_of_several_who_cut_one_does(store: EtcdStore, etcd: Etcd, tmp_path: Path) -> None:
    client, layout = _client(etcd), Layout(f"/{tmp_path.name}")
    notes = await asyncio.gather(*(compact(client, layout, Note()) for _ in range(3)))
    assert len(set(notes)) == 1
    assert await read_note(client, layout) == notes[0]
    await client.close()


async def test_a_quota_lets_nothing_in_but_deletions(tmp_path: Path) -> None:
    with running(tmp_path, 1, "--quota-backend-bytes", str(2 << 20)) as etcd:
        store = store_of(etcd)
        await store.open()
        revision = await put(store, "goes")
        full = ""
        while not full:
            try:
                await put(store, f"n{await store.latest()}", b"x" * 100_000)
            except StoreFull as error:
                full = str(error)
        assert full == "etcd: etcdserver: mvcc: database space exceeded"
        assert await store.check() == "etcd: alarm NOSPACE"
        with pytest.raises(RevisionConflict):
            await store.transact([Write(key("goes"), None, revision + 64)])
        await store.transact([Write(key("goes"), None, revision)], freeing=True)
        assert await store.get(key("goes")) is None
        # Its history is cut all the same: that is what makes room.
        client, layout = _client(etcd), Layout("/wellhead")
        note = await compact(client, layout, await read_note(client, layout))
        note = await compact(client, layout, note)
        with pytest.raises(Compacted):
            await store.snapshot(revision)
        await client.close()
        await store.close()


async def test_who_does_not_answer_is_given_up(tmp_path: Path) -> None:
    with running(tmp_path) as etcd:
        store = store_of(etcd, call_seconds=0.3)
        await store.open()
        etcd.members[0].kill()
        with pytest.raises(StoreFailed, match="whether this was written is not known"):
            await put(store, "a")
        assert "no etcd endpoint answers" in await store.check()
        with pytest.raises(StoreFailed, match="no etcd endpoint answers"):
            await store.latest()
        await store.close()


async def test_keys_and_values_of_others_are_told_from_ours(
    store: EtcdStore, etcd: Etcd, tmp_path: Path
) -> None:
    client, layout = _client(etcd), Layout(f"/{tmp_path.name}")
    for name, value, words in (
        (b"x", packed(Value(0, b"12345678", b"")), "use another --etcd-prefix"),
        (b"x", b"k8s\0...", "a value that isn't wellhead's"),
    ):
        put_request = PutRequest(key=layout.first + name, value=value)
        await client.transact(TxnRequest(success=[RequestOp(request_put=put_request)]))
        with pytest.raises(StoreFailed, match=words):
            await store.snapshot()
    await client.close()


async def test_questions_for_the_latest_revision_see_every_write_before_them(store: EtcdStore) -> None:
    async def write_and_ask(number: int) -> bool:
        return await put(store, f"n{number}") <= await store.latest()

    assert all(await asyncio.gather(*map(write_and_ask, range(100))))


def test_values_come_back_as_they_were() -> None:
    value = Value(63, b"\0\1\2\3\4\5\6\7", b'{"kind":"Pod"}')
    assert unpacked(packed(value)) == value


@pytest.mark.parametrize("name", [StoreKey("pods", "a", "b"), StoreKey("apps/deployments", "", "b:c")])
def test_keys_come_back_as_they_were(name: StoreKey) -> None:
    layout = Layout("/wellhead/")
    assert layout.store_key(layout.key(name)) == name
    assert layout.first < layout.key(name) < layout.end


def _client(etcd: Etcd) -> EtcdClient:
    client = EtcdClient([member.client for member in etcd.members], EtcdOptions())
    client.connect()
    return client
