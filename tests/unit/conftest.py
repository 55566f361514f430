"""Tests of one package alone, each on an event loop whose time passes only when nobody can do anything."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import looptime


class _VirtualTime(looptime.LoopTimeEventLoop, asyncio.SelectorEventLoop):
    pass


def _virtual() -> asyncio.AbstractEventLoop:
    return _VirtualTime(idle_step=0.01)  # while a thread works, time passes as outside, in steps of 10 ms


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"virtual": _virtual}
