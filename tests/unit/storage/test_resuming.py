"""Whoever goes on with a watch is told everything since, or that he can't: by a new process, too."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wellhead.storage.cache import WatchCache
from wellhead.storage.encoding import encode
from wellhead.storage.memory import MemoryStore
from wellhead.storage.sqlite import SqliteStore
from wellhead.storage.store import Compacted, Store, StoreKey, Write

_EARLY, _LATE = "asked-for-before-the-load", "asked-for-afterwards"
_HISTORY = 6  # revisions
_HEAD = msgspec.json.Decoder(dict[str, object])
_KEYS = [StoreKey(resource, "", name) for resource in (_EARLY, _LATE) for name in "xy"]

Told = list[tuple[int, StoreKey]]


@contextlib.asynccontextmanager
async def serving(store: Store) -> AsyncIterator[WatchCache]:
    await store.open()
    cache = WatchCache(store, lambda _, data: _HEAD.decode(data))
    cache[_EARLY].observe(lambda _: None)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(cache.run())
        await cache.started()
        yield cache
        task.cancel()


async def told(cache: WatchCache, resource: str, after: int) -> Told | None:
    """What a watch from there on is told until now; None: that it is too late."""
    try:
        watcher = cache[resource].watch(None, None, after)
    except Compacted:
        return None
    watcher.close()
    found: Told = []
    while batch := await watcher.next():
        found += [(item.revision, StoreKey(resource, item.namespace, item.name)) for _, item in batch]
    return found


async def toggle(cache: WatchCache, key: StoreKey) -> int:
    """Make the object, or delete it if it is there."""
    there = cache[key.resource].get(key.namespace, key.name)
    body = {"apiVersion": "v1", "kind": "Thing", "metadata": {"name": key.name}}
    value, expected = (None, there.revision) if there else (encode(body), 0)
    return (await cache.transact([Write(key, value, expected)]))[0]


@settings(max_examples=10, deadline=None)
@given(lives=st.lists(st.lists(st.sampled_from(_KEYS), max_size=10), min_size=2, max_size=4))
def test_a_watch_goes_on_where_a_killed_process_left_it(lives: list[list[StoreKey]]) -> None:
    made: Told = []

    async def live(path: Path, keys: list[StoreKey]) -> None:
        store = SqliteStore(path / "db", history=_HISTORY, reserve=0)
        async with serving(store) as cache:
            for after in range(cache.revision + 1):
                for resource in (_EARLY, _LATE):
                    right = [(at, key) for at, key in made if at > after and key.resource == resource]
                    seen = await told(cache, resource, after)
                    assert seen == right if after >= store.bounds.oldest else seen is None
            for key in keys:
                made.append((await toggle(cache, key), key))
            # As it is at this moment, in the file and its log, so a kill would leave it.
            shutil.copytree(path, path.with_name(path.name + "x"))
        await store.close()

    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "x")
        path.mkdir()
        for keys in lives:
            asyncio.run(live(path, keys))
            path = path.with_name(path.name + "x")


@pytest.mark.parametrize("resource", [_EARLY, _LATE])
async def test_what_was_before_this_process_is_too_old(resource: str) -> None:
    store = MemoryStore()
    async with serving(store) as cache:
        assert await told(cache, resource, store.bounds.oldest - 1) is None
        assert await told(cache, resource, store.bounds.oldest) == []
