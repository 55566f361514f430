"""The HAProxy process: started, found again after a restart of ours, reloaded, noticed when it ends.

It runs in master-worker mode and outlives this process. The socket of its master is how it is found.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path

from wellhead.cloud.haproxy import commands
from wellhead.cloud.haproxy.commands import ProxyError
from wellhead.cloud.haproxy.config import Instance
from wellhead.linux import signals

_log = logging.getLogger(__name__)

_START_SECONDS = 10.0
_LOOK_SECONDS = 0.02


class Process:
    """One HAProxy. `on_end` is called on the event loop when it has ended, however it did."""

    def __init__(self, program: Path, instance: Instance, on_end: Callable[[], None]) -> None:
        self.pid: int | None = None
        self.reloads = 0
        self._program = program
        self._instance = instance
        self._on_end = on_end
        self._pidfd = -1

    async def adopt(self) -> bool:
        """Take over the one that is running, if there is one. Returns whether."""
        pid = await asyncio.to_thread(commands.master_pid, self._instance.master_socket)
        if pid is None:
            return False
        try:
            pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            return False
        try:
            found = await commands.processes(self._instance.master_socket)
        except ProxyError:
            os.close(pidfd)
            raise
        self._watch(pid, pidfd)
        self.reloads = found.reloads
        _log.info("HAProxy is running already, as process %d", pid)
        return True

    async def start(self, config: str) -> None:
        """Start one with this configuration.

        Raises:
            ProxyError: it doesn't come up; why is in its log.
        """
        self._write(config)
        pid = await asyncio.to_thread(self._spawn)
        self._watch(pid, os.pidfd_open(pid))
        self.reloads = 0
        await self._loaded(0, "HAProxy doesn't start")
        _log.info("HAProxy runs as process %d", pid)

    async def reload(self, config: str) -> None:
        """Have it follow this configuration, without a moment in which nobody accepts connections.

        Raises:
            ProxyError: it refuses, and goes on with what it has; why is in its log.
        """
        before = await commands.processes(self._instance.master_socket)
        self._write(config)
        # From HAProxy 2.7 on the answer says how it went; before, the master's counts do.
        await commands.ask(self._instance.master_socket, "reload")
        await self._loaded(before.reloads + 1, "HAProxy refuses its configuration")

    async def stop(self) -> None:
        """End it, and the connections that it has. Returns when it is gone."""
        if self.pid is None:
            return
        gone = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._pidfd)
        loop.add_reader(self._pidfd, gone.set)
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGTERM)
        try:
            await gone.wait()
        finally:
            self._forget()

    def release(self) -> None:
        """Stop watching. It goes on without us."""
        if self.pid is not None:
            self._forget()

    def _spawn(self) -> int:
        path = os.fspath(self._program)
        arguments = [path, "-W", "-S", f"{self._instance.master_socket},mode,600"]
        arguments += ["-f", os.fspath(self._instance.config)]
        try:
            return os.posix_spawn(
                path,
                arguments,
                os.environ,
                file_actions=[(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0), *_closed()],
                setsid=True,
                setsigmask=(),
                setsigdef=signals.DEFAULT,
            )
        except OSError as error:
            raise ProxyError(f"{path} can't be run: {error.strerror}") from error

    def _write(self, config: str) -> None:
        self._instance.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = self._instance.config.with_suffix(".new")
        fresh.write_text(config)
        fresh.replace(self._instance.config)

    async def _loaded(self, reloads: int, otherwise: str) -> None:
        """Wait until the master has loaded its configuration that many times again."""
        try:
            async with asyncio.timeout(_START_SECONDS):
                while self.pid is not None:
                    with contextlib.suppress(ProxyError):  # between two programs, nobody is at the socket
                        found = await commands.processes(self._instance.master_socket)
                        if found.master == self.pid and found.reloads >= reloads:
                            self.reloads = found.reloads
                            if found.failed or found.worker is None:
                                raise _Refused(otherwise)
                            return
                    await asyncio.sleep(_LOOK_SECONDS)
        except TimeoutError:
            raise ProxyError(f"{otherwise} within {_START_SECONDS:.0f} s") from None
        except _Refused:
            raise ProxyError(f"{otherwise}: see its messages in this component's log") from None
        raise ProxyError(f"{otherwise}: it has ended; see its messages in this component's log")

    def _watch(self, pid: int, pidfd: int) -> None:
        self.pid, self._pidfd = pid, pidfd
        asyncio.get_running_loop().add_reader(pidfd, self._ended)

    def _ended(self) -> None:
        _log.error("HAProxy (process %s) has ended", self.pid)
        self._forget()
        self._on_end()

    def _forget(self) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        with contextlib.suppress(ChildProcessError):  # one that was adopted isn't ours to reap
            os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOHANG)
        os.close(self._pidfd)
        self.pid, self._pidfd = None, -1


class _Refused(Exception):
    pass


def _closed() -> list[tuple[int, int]]:
    """Descriptors that are ours alone, although a child would inherit them."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            if int(name) > 2 and os.get_inheritable(int(name)):
                found.append((os.POSIX_SPAWN_CLOSE, int(name)))
    return found
