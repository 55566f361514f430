"""Who follows the scene: each with what it has not been told yet, and never more of that than of the scene.

What happens to one thing twice before its reader came round is told once. A reader that fell far behind gets
the scene anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from wellhead.page.values import Change, Entity, State, Ticks, event

MOST_STREAMS = 32
MOST_BEHIND = 4096
"""Things that a reader hasn't been told of, beyond which it is told everything instead."""
HEARTBEAT = b": still here\n\n"


class Full(Exception):
    """As many follow as may."""


class Reader:
    """One that follows. `next` waits for what there is to tell it."""

    def __init__(self, scene: Callable[[], msgspec.Struct]) -> None:
        self.ended = False
        self._scene = scene
        self._woken = asyncio.Event()
        self._everything = True
        self.pending: dict[str, Entity | None] = {}
        self._altered = False
        self._state: State | None = None
        self._ticks: Ticks | None = None
        self._woken.set()

    def changed(self, change: Change) -> None:
        self._altered = True
        if not self._everything:
            self.pending |= {each.id: each for each in change.put} | dict.fromkeys(change.gone)
            if len(self.pending) > MOST_BEHIND:
                self.start_over()
        self._woken.set()

    def start_over(self) -> None:
        """It is told the whole scene next."""
        self._everything, self.pending = True, {}
        self._woken.set()

    def stated(self, state: State) -> None:
        self._state = state
        self._woken.set()

    def ticked(self, ticks: Ticks) -> None:
        self._ticks = ticks
        self._woken.set()

    def end(self) -> None:
        """Nothing more will be told."""
        self.ended = True
        self._woken.set()

    async def next(self) -> bytes:
        """What there is to tell, once there is something; nothing at the end."""
        await self._woken.wait()
        if self.ended:
            return b""
        self._woken.clear()
        told = b""
        altered, self._altered = self._altered, False
        if self._everything:
            self._everything = False
            told += event("scene", self._scene())
        elif altered:
            pending, self.pending = self.pending, {}
            put = tuple(each for each in pending.values() if each is not None)
            gone = tuple(name for name, each in pending.items() if each is None)
            told += event("change", Change(put=put, gone=gone))
        if self._state is not None:
            told += event("state", self._state)
            self._state = None
        if self._ticks is not None:
            told += event("lesson", self._ticks)
            self._ticks = None
        return told


class Streams:
    """All who follow."""

    def __init__(self, scene: Callable[[], msgspec.Struct], most: int = MOST_STREAMS) -> None:
        self._scene, self._most = scene, most
        self._readers: set[Reader] = set()
        self._state: State | None = None
        self._ticks: Ticks | None = None

    def __len__(self) -> int:
        return len(self._readers)

    def open(self) -> Reader:
        """Raises Full."""
        if len(self._readers) >= self._most:
            raise Full
        reader = Reader(self._scene)
        self._readers.add(reader)
        if self._state is not None:
            reader.stated(self._state)
        if self._ticks is not None:
            reader.ticked(self._ticks)
        return reader

    def close(self, reader: Reader) -> None:
        self._readers.discard(reader)

    def changed(self, change: Change, *, altered: bool = False) -> None:
        """Nothing is told of a change that is none, unless it may alter answers: then it is told empty."""
        if change.put or change.gone or altered:
            for each in self._readers:
                each.changed(change)

    def start_over(self) -> None:
        """What isn't told by changes is another one."""
        for each in self._readers:
            each.start_over()

    def stated(self, state: State) -> None:
        if state != self._state:
            self._state = state
            for each in self._readers:
                each.stated(state)

    def ticked(self, ticks: Ticks) -> None:
        if ticks != self._ticks:
            self._ticks = ticks
            for each in self._readers:
                each.ticked(ticks)

    def end(self) -> None:
        """Let everybody go."""
        for each in self._readers:
            each.end()
