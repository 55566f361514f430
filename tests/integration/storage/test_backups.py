"""The signal that asks a server for a backup of its file."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from tests.patience import reached
from wellhead.apiserver.backups import back_up_when_asked
from wellhead.storage.sqlite import SqliteStore
from wellhead.storage.store import StoreKey, Write


async def test_sigusr1_has_a_backup_written_each_time(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGUSR1)
    store = SqliteStore(tmp_path / "db")
    await store.open()
    waiting = asyncio.create_task(back_up_when_asked(store))
    await reached(lambda: signal.getsignal(signal.SIGUSR1) is not before)
    backup = tmp_path / "db-backup"
    for name in ("a", "b"):
        await store.transact([Write(StoreKey("things", "", name), name.encode(), 0)])
        os.kill(os.getpid(), signal.SIGUSR1)
        await reached(backup.exists)
        restored = SqliteStore(backup)
        await restored.open()
        record = await restored.get(StoreKey("things", "", name))
        assert record is not None
        await restored.close()
        backup.unlink()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert signal.getsignal(signal.SIGUSR1) == before
    await store.close()
