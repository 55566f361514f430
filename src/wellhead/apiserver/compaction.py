"""Lists of the past end after a while, as they do where etcd is compacted every five minutes."""

from __future__ import annotations

import asyncio

from wellhead.storage.cache import WatchCache

_INTERVAL = 300.0  # seconds, upstream's --etcd-compaction-interval


async def compact_history(cache: WatchCache, interval: float = _INTERVAL) -> None:
    """Let lists go back no further than one to two intervals, until cancelled.

    A client that takes longer for the pieces of a list is told to begin anew, or how to go on with what is
    there now. One that is never told so here would break on other servers.
    """
    while True:
        mark = cache.revision
        await asyncio.sleep(interval)
        cache.compact(mark)
