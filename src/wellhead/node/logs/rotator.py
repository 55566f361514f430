"""Keeps running containers' logs within bounds: one stat for each every ten seconds, as the kubelet."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from wellhead.node.configuration import Logs
from wellhead.node.logs import rotation
from wellhead.node.pods.state import PodState
from wellhead.node.runtime.containers import reopen_log

_log = logging.getLogger(__name__)


class LogRotator:
    """`states` are the node's pods. What a container writes between two looks is not bounded."""

    def __init__(self, states: Callable[[], Iterable[PodState]], config: Logs) -> None:
        self._states = states
        self._config = config

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(self._config.interval)
            await self.look()

    async def look(self) -> None:
        """Rotate the logs that are too large."""
        present = [
            (state.log(name, record.current.number), state.bundle(name, record.current.number))
            for state in self._states()
            for name, record in state.record.containers.items()
            if record.current is not None and record.current.running
        ]
        await asyncio.to_thread(self._rotate, present)

    def _rotate(self, present: Iterable[tuple[Path, Path]]) -> None:
        for log, bundle in present:
            try:
                if log.stat().st_size > self._config.max_size:
                    rotation.rotate(log, self._config.max_files, partial(reopen_log, bundle))
            except FileNotFoundError:
                continue  # it has just ended
            except OSError as error:
                _log.warning("rotating %s: %s", log, error)
