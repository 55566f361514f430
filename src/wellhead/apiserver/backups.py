"""Backups of a store in a file that no other process may read: the server writes them, on SIGUSR1."""

from __future__ import annotations

import asyncio
import logging
import signal

from wellhead.storage.sqlite import SqliteStore
from wellhead.storage.store import StoreFailed

_log = logging.getLogger(__name__)


async def back_up_when_asked(store: SqliteStore) -> None:
    """Until cancelled."""
    loop, asked = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGUSR1, asked.set)
    try:
        while True:
            await asked.wait()
            asked.clear()
            try:
                _log.info("a backup is in %s", await store.backup())
            except StoreFailed as error:
                _log.error("no backup was written: %s", error)
    finally:
        loop.remove_signal_handler(signal.SIGUSR1)
