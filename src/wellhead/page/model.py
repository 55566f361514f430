"""What the page knows and does, whoever asks: the scene, questions, requests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

from wellhead.page import asking
from wellhead.page.errors import Busy, Cannot
from wellhead.page.history import History, Kept
from wellhead.page.live import Live
from wellhead.page.scene import Scene
from wellhead.page.source import Source
from wellhead.page.store import Store
from wellhead.page.streams import Streams
from wellhead.page.values import (
    Answered,
    Ask,
    Can,
    Capabilities,
    Missing,
    Send,
    State,
)
from wellhead.page.values import Scene as SceneValue
from wellhead.snapshot.files import Unreadable, read_files
from wellhead.snapshot.sources import NoSource

if TYPE_CHECKING:
    from wellhead.paths.world import World
    from wellhead.trace.session import Session

T = TypeVar("T")

_MOST_WAITING = 4
"""Questions or requests that wait for one before them."""
_CANNOT_CHANGE = Can(can=False, why="start the page with --allow-changes")


class Turns:
    """Work that blocks, in a thread of its own, one after the other. Nobody who goes away cuts it short."""

    def __init__(self, name: str) -> None:
        self._threads = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._name = name
        self._waiting = 0

    async def run(self, work: Callable[[], T]) -> T:
        """Raises Busy: too many wait."""
        if self._waiting > _MOST_WAITING:
            raise Busy(f"{_MOST_WAITING} others wait for this already: ask again in a moment")
        self._waiting += 1
        future = asyncio.get_running_loop().run_in_executor(self._threads, work)
        future.add_done_callback(self._done)
        return await asyncio.shield(future)

    def _done(self, future: asyncio.Future[T]) -> None:
        self._waiting -= 1
        if not future.cancelled():
            future.exception()  # whoever asked may be gone

    async def close(self) -> None:
        """When what is under way has ended."""
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)


class Model:
    """One page. Use `following` around what serves it."""

    def __init__(self, source: Source, *, allow_changes: bool = False) -> None:
        self.source = source
        self.allow_changes = allow_changes
        self.store = Store(is_cluster=source.connect is not None)
        self.scene = Scene(self.store, source.client)
        self.streams = Streams(self._scene_value)
        self.history = History()
        self.capabilities = Capabilities(send=source.send, change=_CANNOT_CHANGE, source=source.title)
        self._live: Live | None = None
        self._questions = Turns("questions")
        self._requests = Turns("requests")
        self._sent = 0
        self._tasks: set[asyncio.Task[Kept]] = set()
        self._unread = self.store.unread

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Know the objects, and follow them. Raises NoSource: there are none to be had."""
        if self.source.connect is None:
            self._read_files()
            yield
            await self._close()
            return
        self._live = Live(
            self.source.connect, self.store, self.scene, changed=self._changed, stated=self.streams.stated
        )
        connection = await self._live.first()
        ready = asyncio.Event()
        running = asyncio.create_task(self._live.run(connection, ready))
        is_ready = asyncio.create_task(ready.wait())
        try:
            await asyncio.wait((running, is_ready), return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                await running
            yield
        finally:
            for each in (running, is_ready):
                each.cancel()
            await asyncio.gather(running, is_ready, return_exceptions=True)
            await self._close()

    def _read_files(self) -> None:
        try:
            entries = read_files(self.source.files)
        except Unreadable as error:
            raise NoSource(str(error)) from error
        for each in entries:
            self.scene.put(each)
        self._changed()
        self.streams.stated(State(connected=True, why=""))

    async def _close(self) -> None:
        await self._questions.close()
        await self._requests.close()

    def _changed(self) -> None:
        self.streams.changed(self.scene.changes())
        if self.store.unread != self._unread:
            self._unread = self.store.unread
            self.streams.start_over()

    def _scene_value(self) -> SceneValue:
        return SceneValue(
            capabilities=self.capabilities,
            entities=tuple(self.scene.entities.values()),
            unread=tuple(
                Missing(what=each.what, why=each.why, leaves_open=each.leaves_open)
                for each in self.store.unread
            ),
        )

    def opened(self) -> None:
        """Somebody opens the page."""
        if self._live is not None:
            self._live.look_again()

    async def ask(self, question: Ask) -> Answered:
        """Raises CannotAsk, Busy."""
        world = self.store.world()
        return await self._questions.run(lambda: asking.answer(world, question))

    async def send(self, question: Send) -> Kept:
        """Send one request, and remember it, also when whoever asked has gone meanwhile.

        Raises Cannot, CannotAsk, Busy.
        """
        if self.source.watch is None:
            raise Cannot(self.source.send.why)
        task = asyncio.create_task(self._send(question, self.source.watch))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    async def _send(self, question: Send, watch: Callable[[], Session]) -> Kept:
        from wellhead.page import sending  # what sends is not there where nothing is sent

        loop = asyncio.get_running_loop()

        async def world() -> World:
            return self.store.world()

        def work() -> Kept:
            now = asyncio.run_coroutine_threadsafe
            return sending.send(watch, question, number, lambda: now(world(), loop).result())

        self._sent += 1
        number = str(self._sent)
        kept = await self._requests.run(work)
        self.history.add(kept)
        return kept
