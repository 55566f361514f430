"""What only a store on a disk can get wrong."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from wellhead.storage.sqlite import SqliteStore
from wellhead.storage.sqlite_file import SCHEMA_VERSION
from wellhead.storage.store import StoreFailed, StoreKey, Write


def key(name: str) -> StoreKey:
    return StoreKey("pods", "default", name)


async def opened(path: Path, history: int = 4096) -> SqliteStore:
    store = SqliteStore(path, history)
    await store.open()
    return store


async def test_revisions_go_on_after_a_restart(tmp_path: Path) -> None:
    store = await opened(tmp_path / "db")
    (first,) = await store.transact([Write(key("a"), b"1", 0)])
    (second,) = await store.transact([Write(key("a"), None, first)])
    await store.close()
    store = await opened(tmp_path / "db")
    assert store.bounds.latest == second
    assert await store.transact([Write(key("a"), b"1", 0)]) == [second + 1]
    await store.close()


async def test_a_watch_resumes_across_a_restart(tmp_path: Path) -> None:
    store = await opened(tmp_path / "db")
    (first,) = await store.transact([Write(key("a"), b"1", 0)])
    await store.transact([Write(key("a"), b"2", first)])
    await store.close()
    store = await opened(tmp_path / "db")
    async for changes in store.watch(first):
        assert [change.value for change in changes] == [b"2"]
        break
    await store.close()


_WRITER = """
import asyncio, sys
from pathlib import Path
from wellhead.storage.sqlite import SqliteStore
from wellhead.storage.store import StoreKey, Write

async def write(store, writer):
    number = int(sys.argv[2])
    while True:
        name = f"{writer}-{number}"
        (revision,) = await store.transact([Write(StoreKey("pods", "default", name), name.encode(), 0)])
        print(name, revision, flush=True)
        number += 1

async def main():
    store = SqliteStore(Path(sys.argv[1]), 512)
    await store.open()
    await asyncio.gather(*(write(store, writer) for writer in range(8)))

asyncio.run(main())
"""


def run_and_kill_writer(path: Path, first: int, writes: int) -> dict[str, int]:
    """What a writer acknowledged until it was killed: each name's revision."""
    acknowledged: dict[str, int] = {}
    process = subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(path), str(first)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for line in process.stdout:
        if not line.endswith("\n"):
            break  # half a line is no acknowledgement
        name, revision = line.split()
        acknowledged[name] = int(revision)
        if len(acknowledged) == writes:
            process.kill()
    process.wait()
    process.stdout.close()
    return acknowledged


async def test_every_acknowledged_write_survives_kill_9(tmp_path: Path) -> None:
    acknowledged: dict[str, int] = {}
    for first in (0, 10_000, 20_000):
        more = await asyncio.to_thread(run_and_kill_writer, tmp_path / "db", first, 400)
        assert min(more.values()) > max(acknowledged.values(), default=0)
        acknowledged |= more
    assert len(set(acknowledged.values())) == len(acknowledged) >= 1200
    store = await opened(tmp_path / "db")
    stored = {record.key.name: record for record in (await store.snapshot()).records}
    await store.close()
    for name, revision in acknowledged.items():
        assert (stored[name].revision, stored[name].value) == (revision, name.encode())


async def test_a_full_disk_fails_the_write_and_loses_nothing(tmp_path: Path) -> None:
    store = await opened(tmp_path / "db")
    (first,) = await store.transact([Write(key("a"), b"before", 0)])
    pages = await store._run(lambda: store._connection.execute("PRAGMA page_count").fetchone()[0])
    await store._run(lambda: store._connection.execute(f"PRAGMA max_page_count = {pages}"))
    results = await asyncio.gather(
        *(store.transact([Write(key(f"big{number}"), bytes(100_000), 0)]) for number in range(3)),
        return_exceptions=True,
    )
    assert all(isinstance(result, StoreFailed) for result in results)
    assert "full" in str(results[0])
    assert store.bounds.latest == first
    await store._run(lambda: store._connection.execute("PRAGMA max_page_count = 1000000"))
    assert await store.transact([Write(key("b"), b"after", 0)]) == [first + 1]
    assert [record.value for record in (await store.snapshot()).records] == [b"before", b"after"]
    await store.close()


async def test_a_second_process_is_kept_out(tmp_path: Path) -> None:
    store = await opened(tmp_path / "db")
    with pytest.raises(StoreFailed, match="in use by another process"):
        await opened(tmp_path / "db")
    await store.close()


async def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    store = await opened(tmp_path / "db")
    await store.close()
    connection = sqlite3.connect(tmp_path / "db")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.close()
    with pytest.raises(StoreFailed, match=f"has version {SCHEMA_VERSION + 1}"):
        await opened(tmp_path / "db")


async def test_somebody_elses_file_is_refused(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "db")
    connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    with pytest.raises(StoreFailed, match="not a wellhead database"):
        await opened(tmp_path / "db")
    (tmp_path / "text").write_text("no database at all, just text " * 100)
    with pytest.raises(StoreFailed, match="not a database"):
        await opened(tmp_path / "text")


async def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreFailed, match="file/db"):
        await opened(tmp_path / "file" / "db")


async def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = await opened(tmp_path / "db")
    await store.close()
    await store.close()
    with pytest.raises(StoreFailed, match="closed"):
        await store.transact([Write(key("a"), b"", 0)])
    with pytest.raises(StoreFailed, match="closed"):
        await store.get(key("a"))


async def test_a_backup_is_whole_and_is_a_store(tmp_path: Path) -> None:
    store = await opened(tmp_path / "db")
    (revision,) = await store.transact([Write(key("a"), b"1", 0)])
    assert await store.backup() == tmp_path / "db-backup"
    (revision,) = await store.transact([Write(key("a"), b"2", revision)])
    path = await store.backup()
    await store.transact([Write(key("a"), b"3", revision)])
    await store.close()
    assert path.stat().st_mode & 0o777 == 0o600
    assert [name for name in os.listdir(tmp_path) if "backup" in name] == ["db-backup"]
    restored = await opened(path)
    record = await restored.get(key("a"))
    assert record is not None
    assert (record.value, record.revision) == (b"2", revision)
    await restored.close()


async def test_a_backup_that_cannot_be_written_is_said_and_harms_nothing(tmp_path: Path) -> None:
    store = await opened(tmp_path / "db")
    (tmp_path / "db-backup").mkdir()
    with pytest.raises(StoreFailed, match="db-backup"):
        await store.backup()
    assert [name for name in os.listdir(tmp_path) if "unfinished" in name] == []
    await store.transact([Write(key("a"), b"1", 0)])
    await store.close()
