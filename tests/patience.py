"""Waiting for what must come. Nothing else in the tests sleeps; `tests/unit/test_house.py` sees to it.

A wait ends when what it waits for has come. How long it may take costs only a test that fails, so it is long
enough for a machine that has eight times as much to do as it can.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

T = TypeVar("T")

PATIENCE = 60.0
"""Seconds."""
_PAUSE = 0.02
_LONGEST_PAUSE = 0.5


def until(ask: Callable[[], T], is_so: Callable[[T], object] = bool, *, seconds: float = PATIENCE) -> T:
    """Ask again until the answer is right; that answer. Raises AssertionError with the last one.

    What takes long to ask is asked less often: somebody else has work to do meanwhile.
    """
    deadline = time.monotonic() + seconds
    while True:
        asked = time.monotonic()
        if is_so(answer := ask()):
            return answer
        now = time.monotonic()
        if now > deadline:
            raise AssertionError(f"still {answer!r} after {seconds:g} s")
        time.sleep(min(max(_PAUSE, now - asked), _LONGEST_PAUSE))


@overload
async def reached(
    ask: Callable[[], Awaitable[T]], is_so: Callable[[T], object] = bool, *, seconds: float = PATIENCE
) -> T: ...


@overload
async def reached(
    ask: Callable[[], T], is_so: Callable[[T], object] = bool, *, seconds: float = PATIENCE
) -> T: ...


async def reached(
    ask: Callable[[], Any], is_so: Callable[[Any], object] = bool, *, seconds: float = PATIENCE
) -> Any:
    """`until` for event loops; in virtual time, too. `ask` may be a coroutine function."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while True:
        answer = ask()
        if isinstance(answer, Awaitable):
            answer = await answer
        if is_so(answer):
            return answer
        if loop.time() > deadline:
            raise AssertionError(f"still {answer!r} after {seconds:g} s")
        await asyncio.sleep(_PAUSE)


async def settled() -> None:
    """In virtual time: all that can happen without time passing has happened."""
    await asyncio.sleep(1e-6)


async def pass_time(seconds: float) -> None:
    """In virtual time: so much of it has passed, and all has happened that was due by then."""
    loop = asyncio.get_running_loop()
    assert getattr(loop, "looptime_on", False), "real time isn't to be waited for"
    await asyncio.sleep(seconds)
