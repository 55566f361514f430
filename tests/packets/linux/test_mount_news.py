"""The kernel tells of changes to mounts."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from wellhead.linux import mount_news, mounts, namespaces


@pytest.mark.cluster
def test_every_change_is_told(tmp_path: Path) -> None:
    async def changes() -> None:
        changed = asyncio.Event()

        async def told() -> None:
            async with asyncio.timeout(60):
                await changed.wait()
            changed.clear()

        with mount_news.watch(changed.set):
            for _ in range(3):
                mounts.mount("test", tmp_path, "tmpfs")
                await told()
                mounts.umount(tmp_path)
                await told()

    def work() -> None:
        namespaces.unshare(namespaces.CLONE_FS | namespaces.CLONE_NEWNS)
        mounts.make_private()
        asyncio.run(changes())

    namespaces.in_new_thread(work)
