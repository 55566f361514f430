"""Run a short-lived program and wait for it, without blocking the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from wellhead.linux import programs

T = TypeVar("T")


class CommandFailed(Exception):
    """A program ended with an error; the message is what it said."""

    def __init__(self, command: str, code: int, message: str) -> None:
        super().__init__(f"{command}: {message or f'exit code {code}'}")
        self.code = code
        self.message = message


async def run(*command: str) -> str:
    """The program's standard output. Cancelling this ends it.

    Raises:
        CommandFailed: with its standard error.
        OSError: there is no such program.
    """
    done = await programs.run(*command)
    if done.code:
        raise CommandFailed(command[0], done.code, done.errors.decode(errors="replace").strip())
    return done.output.decode(errors="replace")


async def uninterrupted(work: Coroutine[Any, Any, T]) -> T:
    """Await `work` to its end even when the caller is cancelled, who then gets the cancellation.

    For steps that must not be left half done and take milliseconds.
    """
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            if task.cancelled():
                raise
            cancelled = error
        except Exception:  # raised below, by result()
            break
    if cancelled is not None:
        if not task.cancelled() and (failure := task.exception()):
            raise cancelled from failure
        raise cancelled
    return task.result()
