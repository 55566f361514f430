"""A full disk: nothing acknowledged is lost, deletions go on, and it is over when there is room again."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from wellhead.linux import mounts
from wellhead.storage.sqlite import SqliteStore
from wellhead.storage.store import StoreFull, StoreKey, Write

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system")

MIB = 1 << 20
DISK = 48 * MIB


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    directory = tmp_path / "disk"
    directory.mkdir()
    mounts.mount("tmpfs", directory, "tmpfs", data=f"size={DISK},mode=700")
    try:
        yield directory
    finally:
        mounts.umount(directory, mounts.MNT_DETACH)


@contextlib.asynccontextmanager
async def opened(disk: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(disk / "db", 512)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


def key(name: object) -> StoreKey:
    return StoreKey("configmaps", "default", str(name))


async def put(store: SqliteStore, name: object, size: int = 200_000, expected: int = 0) -> int:
    (revision,) = await store.transact([Write(key(name), os.urandom(size), expected)])
    return revision


async def delete(store: SqliteStore, name: object, revision: int) -> None:
    await store.transact([Write(key(name), None, revision)], freeing=True)


def fill(disk: Path) -> Path:
    """Take what is left."""
    path = disk / "others"
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(64 * 1024))
    return path


async def until_full(store: SqliteStore, disk: Path) -> dict[object, int]:
    """Write, let others take what is left, and write until it is refused; what was acknowledged."""
    acknowledged: dict[object, int] = {name: await put(store, name) for name in range(40)}
    fill(disk)
    while True:
        try:
            acknowledged[len(acknowledged)] = await put(store, len(acknowledged))
        except StoreFull:
            return acknowledged


async def test_what_was_acknowledged_is_there_and_can_be_deleted(disk: Path) -> None:
    async with opened(disk) as store:
        acknowledged = await until_full(store, disk)
        assert "disk of the database is full" in await store.check()
        for name, revision in acknowledged.items():
            await delete(store, name, revision)
        assert (await store.snapshot()).records == []


async def test_it_is_there_after_a_restart_on_the_full_disk(disk: Path) -> None:
    async with opened(disk) as store:
        acknowledged = await until_full(store, disk)
        fill(disk)
    async with opened(disk) as store:
        records = {record.key: record.revision for record in (await store.snapshot()).records}
        assert records == {key(name): revision for name, revision in acknowledged.items()}


async def test_writes_go_on_by_themselves_when_others_have_made_room(disk: Path) -> None:
    async with opened(disk) as store:
        revision = await put(store, "mine")
        assert await store.check() == ""
        others = fill(disk)
        while True:
            try:
                revision = await put(store, "mine", expected=revision)
            except StoreFull:
                break
        assert await store.check() != ""
        await delete(store, "mine", revision)
        with pytest.raises(StoreFull):
            await put(store, "new")
        others.unlink()
        await put(store, "new")
        assert await store.check() == ""


async def test_it_can_fill_the_disk_again_and_again_by_itself(disk: Path) -> None:
    """What is deleted makes room, in the file and so on the disk; history is given up for that."""
    async with opened(disk) as store:
        for _ in range(3):
            kept = [(name, await put(store, name)) for name in range(100)]
            for name, revision in kept:
                await delete(store, name, revision)
        assert await store.check() == ""


async def test_of_writes_that_arrive_together_only_those_that_free_room_are_made(disk: Path) -> None:
    async with opened(disk) as store:
        acknowledged = await until_full(store, disk)
        names = list(acknowledged)[:20]
        results = await asyncio.gather(
            *(delete(store, name, acknowledged[name]) for name in names[:10]),
            *(put(store, f"new-{name}", size=2 * MIB) for name in names[10:]),
            return_exceptions=True,
        )
        assert [type(each) for each in results] == [type(None)] * 10 + [StoreFull] * 10
