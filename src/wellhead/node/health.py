"""Whether the agent can do its work: its runtime answers, its disk takes writes, its network is in place.

What the kernel doesn't tell is tried now and then, one try after the other.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from wellhead.health import Attempts, Check, together
from wellhead.node.runtime.commands import CommandFailed, run

_log = logging.getLogger(__name__)

_TRY_SECONDS = 10.0
_FAILING_SECONDS = 25.0  # three tries
DISK, RUNTIME = "disk", "runtime"
_WHAT = {DISK: "the disk takes no write", RUNTIME: "the runtime does not answer"}

Try = Callable[[], Awaitable[None]]
"""Raises OSError or CommandFailed if it can't be done."""


class NodeHealth:
    """Tries, and asks `network`, the checks of what is put back when somebody changes it.

    `changed` is called when the node becomes ready or stops being so, or is so for other reasons.
    """

    def __init__(
        self, tries: dict[str, Try], network: Iterable[Check], changed: Callable[[], None] = lambda: None
    ) -> None:
        self.changed = changed
        self._now = asyncio.get_running_loop().time
        self._tries = [
            (Attempts(name, _WHAT.get(name, f"{name} fails"), _FAILING_SECONDS), do)
            for name, do in tries.items()
        ]
        self._network = tuple(network)

    def checks(self) -> Iterator[Check]:
        """All of it."""
        for attempts, _ in self._tries:
            yield from attempts.checks()
        yield from self._network

    def problems(self) -> dict[str, str]:
        """What keeps the node from its work now, by the checks' names. For any thread, as is `ready`."""
        now = self._now()
        return {check.name: problem for check in self.checks() if (problem := check.problem(now))}

    def ready(self) -> tuple[bool, str]:
        """Whether it can do its work, and the message of the node's condition."""
        problems = self.problems()
        return (False, together(problems.values())) if problems else (True, "kubelet is posting ready status")

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            for attempts, do in self._tries:
                group.create_task(self._repeat(attempts, do))
            group.create_task(self._notice())

    async def _repeat(self, attempts: Attempts, do: Try) -> None:
        while True:
            attempts.start(self._now())
            try:
                await do()
            except (OSError, CommandFailed) as error:
                attempts.fail(self._now(), str(error))
            else:
                attempts.succeed()
            await asyncio.sleep(_TRY_SECONDS)

    async def _notice(self) -> None:
        before: set[str] = set()
        while True:
            now = set(self.problems())
            if now != before:
                before = now
                ready, message = self.ready()
                _log.log(logging.INFO if ready else logging.WARNING, "ready: %s: %s", ready, message)
                self.changed()
            await asyncio.sleep(_TRY_SECONDS / 2)


async def write(directory: Path) -> None:
    """Put a page of a file there and remove it. Raises OSError: it's full, read-only, or gone."""
    await asyncio.to_thread(_write, directory / ".writable")


def _write(path: Path) -> None:
    try:
        path.write_bytes(bytes(4096))
    finally:
        with suppress(OSError):
            path.unlink(missing_ok=True)


async def list_containers(command: Iterable[str]) -> None:
    """Have the runtime say what it runs. Raises CommandFailed, OSError."""
    await run(*command)
