"""What asyncio lacks: waiting no longer than so long, for the first of several, and whose fault it was."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def comes(event: asyncio.Event, seconds: float | None) -> bool:
    """Wait for an event, but no longer than this (None: as long as it takes). Returns whether it came."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


async def first_of(*work: Coroutine[Any, Any, Any]) -> None:
    """Do all of this side by side until one has ended, and cancel the others.

    Raises:
        BaseExceptionGroup: of what any of them raised before it was cancelled.
    """
    async with asyncio.TaskGroup() as group:
        tasks = {group.create_task(each) for each in work}
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()


async def before(work: Coroutine[Any, Any, T], *others: Coroutine[Any, Any, Any]) -> T | None:
    """Do this, unless one of the others ends first; then it is cancelled, and the result is None.

    Raises what the work raises, by itself.
    """
    results: list[T] = []
    errors: list[Exception] = []

    async def do() -> None:
        try:
            results.append(await work)
        except Exception as error:
            errors.append(error)

    await first_of(do(), *others)
    if errors:
        raise errors[0]
    return results[0] if results else None


def first_error(error: BaseException) -> BaseException:
    """The first single error in groups of groups: what is said where there is room for one."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
