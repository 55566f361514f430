"""Hearing of images that come while pods wait for them."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from wellhead.linux.inotify import IN_MOVED_TO, Inotify

_log = logging.getLogger(__name__)


class Arrivals:
    """Wakes those who wait for an image when the images on this machine have changed."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.next = asyncio.Event()
        """Set with the next change, and another one then. To miss none, take it before looking."""

    async def run(self) -> None:
        """Listen until cancelled. Without a directory to listen to, those who wait look now and then."""
        try:
            inotify = Inotify()
        except OSError as error:
            _log.warning("changes of images are noticed late: %s", error)
            return
        try:
            with inotify.watch(self._directory, IN_MOVED_TO, self._tell):
                await asyncio.Event().wait()
        except OSError as error:
            _log.warning("changes of images are noticed late: %s", error)
        finally:
            inotify.close()

    def _tell(self) -> None:
        self.next.set()
        self.next = asyncio.Event()
