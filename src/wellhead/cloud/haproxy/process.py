"""HAProxy, in master-worker mode, and the keeper of its sockets: started, reloaded, found again, replaced.

They outlive this process, and each other. A new HAProxy gets from the keeper the sockets that the last one
listened on, and so accepts whoever has waited since; whatever HAProxy listens on next, the keeper is given.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import Callable, Collection
from pathlib import Path

from wellhead.backoff import Backoff
from wellhead.cloud.daemon import Daemon
from wellhead.cloud.haproxy import commands, keeper
from wellhead.cloud.haproxy.config import Instance
from wellhead.cloud.plane import PlaneError
from wellhead.ip import IPAddress
from wellhead.linux import files

_log = logging.getLogger(__name__)

_START_SECONDS = 10.0
_LOOK_SECONDS = 0.02
_LONG_ENOUGH_SECONDS = 1.0  # one that has run for so long is started again at once when it has ended
_KEEP_SECONDS = 3.0


class HAProxy:
    """One HAProxy with its keeper. `on_end` is called on the event loop when either has ended."""

    def __init__(self, program: Path, instance: Instance, on_end: Callable[[], None]) -> None:
        self.reloads = 0
        """How often the one that runs was reloaded."""
        self._program = program
        self._instance = instance
        self._master = Daemon("HAProxy", instance.master_socket, on_end)
        self._keeper = Daemon("HAProxy's keeper", instance.directory / keeper.SOCKET, on_end)
        self._starts = Backoff(0.1, 10.0)
        self._started = float("-inf")

    @property
    def pid(self) -> int | None:
        """The master process; None while there is none."""
        return self._master.pid

    @property
    def keeper_pid(self) -> int | None:
        return self._keeper.pid

    async def adopt(self) -> bool:
        """Take over what is running. Returns whether HAProxy is."""
        await self._keeper.adopt()
        if not await self._master.adopt():
            return False
        self.reloads = (await commands.processes(self._instance.master_socket)).reloads
        return True

    async def start(self, config: str) -> None:
        """Start it with this configuration. One that never runs for long is started less and less often.

        Raises:
            PlaneError: it doesn't come up; why is in its log.
        """
        clock = asyncio.get_running_loop().time
        if clock() - self._started > _LONG_ENOUGH_SECONDS:
            self._starts.reset()
        else:
            await asyncio.sleep(self._starts.next())
        self._started = clock()
        await asyncio.to_thread(self._write, config)
        await self._start_keeper()
        arguments = [os.fspath(self._program), "-W", "-S", f"{self._instance.master_socket},mode,600"]
        arguments += ["-x", os.fspath(self._instance.directory / keeper.SOCKET)]
        await self._master.start([*arguments, "-f", os.fspath(self._instance.config)])
        self.reloads = 0
        await self._loaded(0, "HAProxy doesn't start")

    async def reload(self, config: str) -> None:
        """Have it follow this configuration, without a moment in which nobody accepts connections.

        Raises:
            PlaneError: it refuses, and goes on with what it has; why is in its log.
        """
        before = await commands.processes(self._instance.master_socket)
        await asyncio.to_thread(self._write, config)
        # From HAProxy 2.7 on the answer says how it went; before, the master's counts do.
        await commands.ask(self._instance.master_socket, "reload")
        await self._loaded(before.reloads + 1, "HAProxy refuses its configuration")

    async def keep(self, listeners: Collection[tuple[IPAddress, int]]) -> None:
        """Have the keeper hold what HAProxy listens on now: these, and whatever else.

        Raises:
            PlaneError: it doesn't hold them all.
        """
        await self._start_keeper()
        wanted = {f"{address} {port}" for address, port in listeners}
        lacking, answer = wanted, ""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_KEEP_SECONDS):
                while True:
                    # Just after a reload it may still be the worker before that answers.
                    answer = await self._ask_keeper("keep")
                    lacking = wanted - set(answer.splitlines())
                    if not lacking and not answer.startswith("error"):
                        return
                    await asyncio.sleep(_LOOK_SECONDS)
        why = answer.strip() if answer.startswith("error") else f"it lacks {', '.join(sorted(lacking)[:5])}"
        raise PlaneError(f"the keeper doesn't hold HAProxy's sockets: {why}")

    async def _ask_keeper(self, line: str) -> str:
        try:
            return await commands.ask(self._instance.directory / keeper.SOCKET, line)
        except PlaneError:
            await self._keeper.stop()  # it is there, and can't be reached: another will be
            raise

    async def stop(self) -> None:
        """End both, with the connections that there are. Returns when they and their file are gone."""
        await self._master.stop()
        await self._keeper.stop()
        self._instance.config.unlink(missing_ok=True)

    def release(self) -> None:
        """Stop watching. They go on without us."""
        self._master.release()
        self._keeper.release()

    async def _start_keeper(self) -> None:
        if await self._keeper.adopt():
            return
        program = [sys.executable, "-m", keeper.__name__, os.fspath(self._instance.directory)]
        await self._keeper.start(program)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_START_SECONDS):
                while self._keeper.pid is not None:
                    with contextlib.suppress(PlaneError):
                        await commands.ask(self._instance.directory / keeper.SOCKET, "")
                        return
                    await asyncio.sleep(_LOOK_SECONDS)
        raise PlaneError("the keeper of HAProxy's sockets doesn't start")

    def _write(self, config: str) -> None:
        files.make_private(self._instance.directory)
        files.write_atomically(self._instance.config, config.encode())

    async def _loaded(self, reloads: int, otherwise: str) -> None:
        """Wait until the master has loaded its configuration that many times again."""
        try:
            async with asyncio.timeout(_START_SECONDS):
                while self.pid is not None:
                    with contextlib.suppress(PlaneError):  # between two programs, nobody is at the socket
                        found = await commands.processes(self._instance.master_socket)
                        if found.master == self.pid and found.reloads >= reloads:
                            self.reloads = found.reloads
                            if found.failed or found.worker is None:
                                raise _Refused(otherwise)
                            return
                    await asyncio.sleep(_LOOK_SECONDS)
        except TimeoutError:
            raise PlaneError(f"{otherwise} within {_START_SECONDS:.0f} s") from None
        except _Refused:
            raise PlaneError(f"{otherwise}: see its messages in this component's log") from None
        raise PlaneError(f"{otherwise}: it has ended; see its messages in this component's log")


class _Refused(Exception):
    pass
