"""All stores keep what the interface promises."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.etcd import Etcd
from wellhead.storage.etcd.options import EtcdOptions
from wellhead.storage.etcd.store import EtcdStore
from wellhead.storage.location import store_at
from wellhead.storage.memory import MemoryStore
from wellhead.storage.sqlite import SqliteStore
from wellhead.storage.store import Change, Compacted, RevisionConflict, Store, StoreKey, Write


def key(name: str) -> StoreKey:
    return StoreKey("pods", "default", name)


@pytest.fixture(params=["memory", "sqlite", "etcd"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    store: Store
    match request.param:
        case "memory":
            store = MemoryStore(history=512)
        case "sqlite":
            store = SqliteStore(tmp_path / "db", history=512)
        case _:
            etcd: Etcd = request.getfixturevalue("etcd")
            store = store_at(etcd.storage, EtcdOptions(prefix=f"/{tmp_path.name}"))
    await store.open()
    yield store
    await store.close()


async def put(store: Store, name: str, value: bytes, expected: int = 0) -> int:
    (revision,) = await store.transact([Write(key(name), value, expected)])
    return revision


async def changes(store: Store, after: int, count: int) -> list[Change]:
    found: list[Change] = []
    async for batch in store.watch(after):
        found += batch
        if len(found) >= count:
            break
    return found


async def test_what_was_written_is_read(store: Store) -> None:
    revision = await put(store, "a", b"1")
    record = await store.get(key("a"))
    assert record is not None
    assert (record.value, record.revision) == (b"1", revision)
    snapshot = await store.snapshot()
    assert (snapshot.revision, snapshot.records) == (revision, [record])
    assert await store.get(key("b")) is None


async def test_creating_what_exists_conflicts(store: Store) -> None:
    revision = await put(store, "a", b"1")
    with pytest.raises(RevisionConflict) as raised:
        await put(store, "a", b"2")
    assert raised.value.actual == revision


async def test_of_two_writers_of_one_revision_one_conflicts(store: Store) -> None:
    revision = await put(store, "a", b"1")
    results = await asyncio.gather(
        put(store, "a", b"2", revision), put(store, "a", b"3", revision), return_exceptions=True
    )
    assert sorted(isinstance(result, RevisionConflict) for result in results) == [False, True]


async def test_deleting_what_does_not_exist_conflicts(store: Store) -> None:
    with pytest.raises(RevisionConflict):
        await store.transact([Write(key("a"), None, 0)])


async def test_a_deleted_key_can_be_created_again(store: Store) -> None:
    revision = await put(store, "a", b"1")
    await store.transact([Write(key("a"), None, revision)])
    assert await store.get(key("a")) is None
    assert await put(store, "a", b"2") > revision


async def test_a_transaction_is_made_wholly_or_not_at_all(store: Store) -> None:
    before = store.bounds.latest
    with pytest.raises(RevisionConflict):
        await store.transact([Write(key("a"), b"1", 0), Write(key("b"), b"1", 99)])
    assert await store.get(key("a")) is None
    await put(store, "c", b"1")
    assert [change.key.name for change in await changes(store, before, 1)] == ["c"]


async def test_writes_of_one_moment_fail_each_for_itself(store: Store) -> None:
    start = await put(store, "there", b"1")
    gone = await put(store, "goes", b"1")
    transactions = [
        *([Write(key(f"new-{number}"), b"1", 0)] for number in range(20)),
        [Write(key("there"), b"2", 0)],
        [Write(key("both"), b"1", 0), Write(key("there"), b"2", start + 640)],
        [Write(key("goes"), None, gone)],
        [Write(key("there"), b"2", start)],
        [Write(key("there"), b"3", start)],
    ]
    found = await asyncio.gather(*map(store.transact, transactions), return_exceptions=True)
    assert [isinstance(each, RevisionConflict) for each in found] == [
        *[False] * 20,
        True,
        True,
        *[False] * 2,
        True,
    ]
    revisions = [each for result in found if isinstance(result, list) for each in result]
    assert len(set(revisions)) == len(revisions) == 22
    told = await changes(store, gone, 22)
    assert sorted(change.revision for change in told) == sorted(revisions)
    assert {change.key.name for change in told} == {"there", "goes", *(f"new-{n}" for n in range(20))}
    assert await store.latest() == max(revisions)


async def test_a_watch_sees_history_then_what_happens_in_order_and_once(store: Store) -> None:
    start = store.bounds.latest
    first = await put(store, "a", b"1")
    watch = asyncio.create_task(changes(store, start, 52))
    writes = asyncio.gather(*(put(store, f"n{number}", b"x") for number in range(50)))
    await writes
    await store.transact([Write(key("a"), None, first)])
    seen = await watch
    revisions = [change.revision for change in seen]
    assert revisions == sorted(set(revisions))
    assert seen[0] == Change(first, key("a"), b"1")
    assert seen[-1] == Change(await store.latest(), key("a"), None)


async def test_the_writes_of_a_transaction_have_revisions_of_their_own(store: Store) -> None:
    start = store.bounds.latest
    old = await put(store, "old", b"1")
    writes = [Write(key("a"), b"1", 0), Write(key("old"), None, old), Write(key("b"), b"2", 0)]
    revisions = await store.transact(writes)
    assert revisions == sorted(set(revisions))
    seen = await changes(store, start, 4)
    assert [(change.revision, change.key.name) for change in seen[1:]] == [
        *zip(revisions, ["a", "old", "b"], strict=True)
    ]
    for name, revision in (("a", revisions[0]), ("b", revisions[2])):
        record = await store.get(key(name))
        assert record is not None
        assert record.revision == revision
    # A watch that begins between them misses none, and repeats none.
    assert await changes(store, revisions[0], 2) == seen[2:]


async def test_an_older_state_can_be_read(store: Store) -> None:
    first = await put(store, "a", b"1")
    await put(store, "a", b"2", first)
    assert [record.value for record in (await store.snapshot(first)).records] == [b"1"]
    assert [record.value for record in (await store.snapshot()).records] == [b"2"]


@pytest.mark.parametrize("store", ["memory", "sqlite"], indirect=True)  # etcd's is a matter of time
async def test_history_is_compacted_and_the_state_stays(store: Store) -> None:
    start = store.bounds.latest
    kept = await put(store, "kept", b"kept")
    revision = await put(store, "a", b"0")
    for number in range(1000):
        revision = await put(store, "a", b"%d" % number, revision)
    oldest, latest = store.bounds
    assert start < oldest < latest
    with pytest.raises(Compacted):
        await changes(store, start, 1)
    with pytest.raises(Compacted):
        await store.snapshot(oldest - 1)
    assert len(await changes(store, oldest, latest - oldest)) == latest - oldest
    at_oldest = {record.key.name: record for record in (await store.snapshot(oldest)).records}
    assert at_oldest["kept"].revision == kept
    assert at_oldest["a"].revision == oldest
    assert len((await store.snapshot()).records) == 2


@pytest.mark.parametrize("location", ["", "etcd:", "sqlite:", "memory:x", "redis:x"])
def test_an_unknown_location_is_refused(location: str) -> None:
    with pytest.raises(ValueError, match="use sqlite:PATH, memory: or etcd=URL"):
        store_at(location)


def test_locations_name_stores(tmp_path: Path) -> None:
    assert isinstance(store_at(f"sqlite:{tmp_path}/db"), SqliteStore)
    assert isinstance(store_at("memory:"), MemoryStore)
    assert isinstance(store_at("etcd=http://127.0.0.1:2379,https://[::1]"), EtcdStore)


@pytest.mark.parametrize("url", ["127.0.0.1:2379", "ftp://x", "http://", "http://x/path"])
def test_what_is_no_endpoint_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="is no etcd endpoint"):
        store_at(f"etcd={url}")
