"""Both stores keep what the interface promises."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from wellhead.storage.location import store_at
from wellhead.storage.memory import MemoryStore
from wellhead.storage.sqlite import SqliteStore
from wellhead.storage.store import Change, Compacted, RevisionConflict, Store, StoreKey, Write


def key(name: str) -> StoreKey:
    return StoreKey("pods", "default", name)


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    store: Store = (
        MemoryStore(history=512) if request.param == "memory" else SqliteStore(tmp_path / "db", history=512)
    )
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
    assert await put(store, "c", b"1") == before + 1


async def test_a_watch_sees_history_then_what_happens_in_order_and_once(store: Store) -> None:
    start = store.bounds.latest
    first = await put(store, "a", b"1")
    watch = asyncio.create_task(changes(store, start, 52))
    writes = asyncio.gather(*(put(store, f"n{number}", b"x") for number in range(50)))
    await writes
    await store.transact([Write(key("a"), None, first)])
    seen = await watch
    assert [change.revision for change in seen] == list(range(start + 1, start + 53))
    assert seen[0] == Change(first, key("a"), b"1")
    assert seen[-1] == Change(start + 52, key("a"), None)


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


@pytest.mark.parametrize("location", ["", "etcd:http://x", "sqlite:", "memory:x"])
def test_an_unknown_location_is_refused(location: str) -> None:
    with pytest.raises(ValueError, match="use sqlite:PATH or memory:"):
        store_at(location)


def test_locations_name_stores(tmp_path: Path) -> None:
    assert isinstance(store_at(f"sqlite:{tmp_path}/db"), SqliteStore)
    assert isinstance(store_at("memory:"), MemoryStore)
