"""Speaking to a running HAProxy: the command line of its master, which passes commands on to workers.

Source: HAProxy's management.txt, "Master CLI".
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from wellhead.cloud.plane import PlaneError

_TIMEOUT_SECONDS = 5.0
_BATCH = 64  # commands in a line, which must fit into HAProxy's buffer of 16 kB
_PROCESS = re.compile(r"(\d+)\s+(master|worker)\s+(\d+)(?:\s+\[failed: (\d+)\])?")
_SESSION = re.compile(r"^(0x[0-9a-f]+): .*? be=(\S+) srv=(\S+) ", re.MULTILINE)
_ADDED = "New server registered."
_DELETED = "Server deleted."


@dataclass(frozen=True)
class Processes:
    """HAProxy's processes. `failed` counts reloads since the last that went well.

    The `worker` accepts connections; the `old` ones finish those that they have.
    """

    master: int
    reloads: int
    failed: int
    worker: int | None
    old: tuple[int, ...] = ()


async def ask(path: Path, line: str) -> str:
    """The answer to a line of commands.

    Raises:
        PlaneError: nobody is there to answer, or takes too long.
    """
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            reader, writer = await asyncio.open_unix_connection(path)
            try:
                writer.write(line.encode() + b"\n")
                writer.write_eof()  # HAProxy closes when it has answered, and only then
                return (await reader.read()).decode(errors="replace")
            finally:
                writer.close()
    except (OSError, TimeoutError) as error:
        raise PlaneError(f"no answer from HAProxy: {str(error) or 'it takes too long'}") from error


async def processes(path: Path) -> Processes:
    """HAProxy's processes now. Raises PlaneError."""
    return parse_processes(await ask(path, "show proc"))


def parse_processes(text: str) -> Processes:
    """What `show proc` says. Raises PlaneError if it doesn't say who is the master."""
    master: re.Match[str] | None = None
    worker, old = None, []
    for line in text.splitlines():
        if match := _PROCESS.match(line):
            if match[2] == "master":
                master = match
            elif match[3] == "0":
                worker = int(match[1])
            else:
                old.append(int(match[1]))
    if master is None:
        raise PlaneError(f"HAProxy's master doesn't say who it is: {text[:200]!r}")
    return Processes(int(master[1]), int(master[3]), int(master[4] or 0), worker, tuple(old))


async def execute(path: Path, commands: Sequence[str]) -> None:
    """Give the current worker commands, all of which must succeed: they say nothing then, or what was added.

    Raises:
        PlaneError: one failed. Others may have been done.
    """
    answer = await _all(path, "@1", commands)
    for line in answer.splitlines():
        if line.strip() not in ("", _ADDED):
            raise PlaneError(f"HAProxy refuses a command: {line.strip()}")


async def delete(path: Path, servers: Sequence[str]) -> frozenset[str]:
    """Delete servers, each SECTION/SERVER. Returns those that are gone: one with connections stays."""
    gone = set()
    for server in servers:
        if _DELETED in await ask(path, f"@1 del server {server}"):
            gone.add(server)
    return frozenset(gone)


async def close_connections(path: Path, servers: Collection[str]) -> None:
    """End all connections to servers, each SECTION/SERVER, in all workers that know them.

    A worker that was replaced does that only connection by connection: its sections are "disabled".
    """
    if not servers:
        return
    found = await processes(path)
    await _all(path, "@1", [f"shutdown sessions server {server}" for server in servers])
    for pid in found.old:
        held = sessions(await ask(path, f"@!{pid} show sess"))
        lost = [session for session, server in held.items() if server in servers]
        await _all(path, f"@!{pid}", [f"shutdown session {session}" for session in lost])


def sessions(text: str) -> dict[str, str]:
    """What `show sess` says: the server, as SECTION/SERVER, of each session."""
    return {match[1]: f"{match[2]}/{match[3]}" for match in _SESSION.finditer(text)}


async def _all(path: Path, worker: str, commands: Sequence[str]) -> str:
    answers = []
    for start in range(0, len(commands), _BATCH):
        batch = commands[start : start + _BATCH]
        answers.append(await ask(path, ";".join(f"{worker} {command}" for command in batch)))
    return "\n".join(answers)
