"""Noticing that the file which this proxy was configured by has changed."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from wellhead.linux.inotify import IN_CLOSE_WRITE, IN_CREATE, IN_MOVED_TO, Inotify


class ConfigurationChanged(Exception):
    """The configuration file has other content now."""


async def ends_when_changed(path: Path) -> None:
    """Wait until the file's content changes. Whoever started this proxy starts it again, as with kube-proxy.

    The directory is watched, not the file: editors put a new one in its place, and the files of a ConfigMap's
    volume are links by way of another link beside them, which is what changes. A file that is gone for a
    while is no change.

    Raises:
        ConfigurationChanged: it has.
        OSError: it can't be watched.
    """
    before = await asyncio.to_thread(path.read_bytes)
    changed = asyncio.Event()
    mask = IN_CLOSE_WRITE | IN_CREATE | IN_MOVED_TO
    with contextlib.closing(Inotify()) as inotify, inotify.watch(_directory(path), mask, changed.set):
        while True:
            with contextlib.suppress(OSError):
                if await asyncio.to_thread(path.read_bytes) != before:
                    raise ConfigurationChanged(f"{path} has changed: ending, to be started with it")
            await changed.wait()
            changed.clear()


def _directory(path: Path) -> Path:
    return path.absolute().parent
