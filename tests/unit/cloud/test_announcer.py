"""Announcing is tried again after what went wrong: later and later, and soon after it had worked."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from tests.patience import pass_time
from wellhead.cloud.announce.announcer import Announcer


async def test_what_has_worked_for_a_while_is_tried_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", lambda _, high: high)
    loop = asyncio.get_running_loop()
    announcer = Announcer((), None)
    begun: asyncio.Queue[float] = asyncio.Queue()
    announce_all = announcer._announce_all

    def begin() -> None:
        announce_all()
        begun.put_nowait(loop.time())

    monkeypatch.setattr(announcer, "_announce_all", begin)
    task = asyncio.ensure_future(announcer.run())
    await begun.get()
    delays = []
    for seconds in (0.0, 0.0, 0.0, 60.0, 0.0):
        await pass_time(seconds)
        ended = loop.time()
        announcer._guarded(fails)
        delays.append(await begun.get() - ended)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert delays == pytest.approx([0.2, 0.4, 0.8, 0.2, 0.4], abs=0.1)


def fails() -> None:
    raise OSError("eth0 is gone")
