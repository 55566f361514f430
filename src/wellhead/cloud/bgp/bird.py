"""A BIRD of our own: started, found again, told what to announce, asked how its sessions are."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from wellhead.cloud.bgp.config import config_file
from wellhead.cloud.daemon import Daemon
from wellhead.cloud.plane import PlaneError
from wellhead.linux.files import make_private, write_atomically

_TIMEOUT_SECONDS = 5.0
_START_SECONDS = 10.0
_LOOK_SECONDS = 0.02
_REPLY = re.compile(r"(\d{4})([ -])(.*)")
_SESSION = re.compile(r"(peer_\w+)\s+BGP\s+\S+\s+\S+\s+\S+\s*(.*)")
_ERRORS = ("8", "9")


class Bird:
    """BIRD in `directory`, which outlives this process. `on_end` is called on the loop when it has ended."""

    def __init__(self, program: Path, directory: Path, on_end: Callable[[], None]) -> None:
        self._program = program
        self._directory = directory
        self._socket = directory / "bird.ctl"
        self._daemon = Daemon("BIRD", self._socket, on_end)
        self._in_force: str | None = None

    async def follow(self, config: str) -> None:
        """Have it follow this configuration; start it if it doesn't run.

        Raises:
            PlaneError: it can't be started, or refuses; it goes on with what it had.
        """
        if self._daemon.pid is not None and config == self._in_force:
            return
        self._in_force = None
        await asyncio.to_thread(self._write, config)
        if await self._daemon.adopt():
            await self.ask("configure")
        else:
            control = ["-c", os.fspath(config_file(self._directory)), "-s", os.fspath(self._socket)]
            await self._daemon.start([os.fspath(self._program), "-f", *control])
            await self._answers()
        self._in_force = config

    async def sessions(self) -> Mapping[str, str]:
        """The state of each session by its name: "Established", "Active (Socket: Connection refused)" …

        Raises:
            PlaneError: it doesn't answer.
        """
        found = (_SESSION.match(line) for line in (await self.ask("show protocols")).splitlines())
        return {each[1]: _state(each[2]) for each in found if each}

    async def ask(self, line: str) -> str:
        """What it answers to a line, without the codes.

        Raises:
            PlaneError: it refuses, with its reason, or isn't there.
        """
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                reader, writer = await asyncio.open_unix_connection(self._socket)
                try:
                    await _reply(reader)  # its greeting
                    writer.write(f"{line}\n".encode())
                    return await _reply(reader)
                finally:
                    writer.close()
        except (OSError, TimeoutError) as error:
            raise PlaneError(f"no answer from BIRD: {str(error) or 'it takes too long'}") from error

    async def stop(self) -> None:
        """End it: its peers forget what it said. Returns when it is gone."""
        await self._daemon.adopt()
        await self._daemon.stop()

    def release(self) -> None:
        """Stop watching. It goes on without us."""
        self._daemon.release()

    async def _answers(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_START_SECONDS):
                while self._daemon.pid is not None:
                    with contextlib.suppress(PlaneError):
                        await self.ask("show status")
                        return
                    await asyncio.sleep(_LOOK_SECONDS)
        raise PlaneError("BIRD doesn't start: see its messages in this component's log")

    def _write(self, config: str) -> None:
        make_private(self._directory)
        write_atomically(config_file(self._directory), config.encode())


def _state(said: str) -> str:
    """A session's state, and what went wrong last."""
    state, _, why = said.strip().partition(" ")
    why = why.strip()
    return f"{state} ({why})" if why and not state.endswith(":") else said.strip() or "Idle"


async def _reply(reader: asyncio.StreamReader) -> str:
    """The lines of one reply. The last has a blank behind its code; one without a code goes on as before."""
    lines = []
    while line := (await reader.readline()).decode(errors="replace").rstrip("\n"):
        found = _REPLY.fullmatch(line)
        lines.append(found[3] if found else line.lstrip())
        if found and found[1].startswith(_ERRORS):
            raise PlaneError(f"BIRD: {found[3]}")
        if found and found[2] == " ":
            return "\n".join(lines)
    raise PlaneError("BIRD has hung up")
