"""What the page knows and does, whoever asks: the scene, questions, requests."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from wellhead.page import asking, levers, matrix, pulling
from wellhead.page.errors import Busy, Cannot
from wellhead.page.history import History, Kept
from wellhead.page.lesson import Lesson
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
    Change,
    Lever,
    Matrix,
    Missing,
    Pod,
    Pressed,
    Pull,
    Pulled,
    Send,
    State,
)
from wellhead.page.values import Scene as SceneValue
from wellhead.snapshot.files import Unreadable, read_files
from wellhead.snapshot.sources import NoSource
from wellhead.trace.places import HELPER, HELPER_LABEL

if TYPE_CHECKING:
    from wellhead.paths.world import World
    from wellhead.trace.session import Session

_log = logging.getLogger(__name__)

T = TypeVar("T")

_MOST_REQUESTS, _MOST_QUESTIONS = 5, 64
"""That are under way: one takes a second, or some milliseconds, and all open pages ask about a change."""
_NOT_ALLOWED = Can(can=False, why="start the page with --allow-changes")
_NO_HELPER = Can(
    can=False,
    why="nobody watches packets there: `kubectl apply -k deploy/trace` puts a helper on each node",
)
_ONLY_FILES = Can(can=False, why="these are files: there is nothing to change")


class Turns:
    """Work that blocks, in a thread of its own, one after the other. Nobody who goes away cuts it short."""

    def __init__(self, name: str, most: int) -> None:
        self._threads = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._most = most
        self._under_way = 0

    async def run(self, work: Callable[[], T]) -> T:
        """Raises Busy: too many wait."""
        if self._under_way >= self._most:
            raise Busy(f"{self._most} of these are under way already: ask again in a moment")
        self._under_way += 1
        future = asyncio.get_running_loop().run_in_executor(self._threads, work)
        future.add_done_callback(self._done)
        return await asyncio.shield(future)

    def _done(self, future: asyncio.Future[T]) -> None:
        self._under_way -= 1
        if not future.cancelled():
            future.exception()  # whoever asked may be gone

    async def close(self) -> None:
        """When what is under way has ended."""
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)


class Model:
    """One page. Use `following` around what serves it."""

    def __init__(self, source: Source, *, allow_changes: bool = False) -> None:
        self.source = source
        self._allow_changes = allow_changes
        self.store = Store(is_cluster=source.connect is not None)
        self.scene = Scene(self.store, source.client)
        self.streams = Streams(self._scene_value)
        self.history = History()
        self.lesson = Lesson(proxy_mode=source.proxy_mode)
        self._helpers: set[str] = set()
        send = _NO_HELPER if source.watch is not None and not source.cluster else source.send
        self.capabilities = Capabilities(send=send, change=self._can_change(), source=source.title)
        self._live: Live | None = None
        self._questions = Turns("questions", _MOST_QUESTIONS)
        self._requests = Turns("requests", _MOST_REQUESTS)
        self._changes = asyncio.Semaphore(1)
        self._sent = 0
        self._tasks: set[asyncio.Task[Any]] = set()
        self._unread = self.store.unread

    def _can_change(self) -> Can:
        if self.source.connect is None:
            return _ONLY_FILES
        return pulling.can_change() if self._allow_changes else _NOT_ALLOWED

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
        running.add_done_callback(self._ended)
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

    def _ended(self, running: asyncio.Task[None]) -> None:
        """Nothing is followed any more: by the end of the page, or by a defect."""
        if not running.cancelled() and (error := running.exception()) is not None:
            _log.error("the cluster isn't followed any more", exc_info=error)
            why = "a defect has ended following: what, is in wellhead page's terminal; start it anew"
            self.streams.stated(State(connected=False, why=why))

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
        """Commands are ended; a request that is under way is followed to its end, and takes all away."""
        tasks = list(self._tasks)
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._questions.close()
        await self._requests.close()

    def _changed(self) -> None:
        change = self.scene.changes()
        self._look_for_helpers(change)
        self.streams.changed(change, altered=self.scene.altered)
        self.lesson.changed(change)
        self.streams.ticked(self.lesson.ticks())
        if self.store.unread != self._unread:
            self._unread = self.store.unread
            self.streams.start_over()

    def _look_for_helpers(self, change: Change) -> None:
        """On other clusters, packets are watched by pods of deploy/trace."""
        if self.source.watch is None or self.source.cluster:
            return
        had = bool(self._helpers)
        for each in change.put:
            if isinstance(each, Pod):
                entry = self.store.get("Pod", (each.namespace, each.name))
                is_one = each.ready and entry is not None and entry.labels.get(HELPER_LABEL) == HELPER
                (self._helpers.add if is_one else self._helpers.discard)(each.id)
        self._helpers.difference_update(change.gone)
        if bool(self._helpers) is not had:
            can = self.source.send if self._helpers else _NO_HELPER
            self.capabilities = msgspec.structs.replace(self.capabilities, send=can)
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
        if self.source.watch is None or not self.capabilities.send.can:
            raise Cannot(self.capabilities.send.why)
        return await self._to_its_end(self._send(question, self.source.watch))

    async def _to_its_end(self, work: Coroutine[Any, Any, T]) -> T:
        """Whoever asked may go; what was begun is ended."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return await asyncio.shield(task)

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()

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
        self.history.add(replace(kept, sent=None))
        if kept.sent is not None:
            self.lesson.sent(kept.sent)
            self.streams.ticked(self.lesson.ticks())
        return kept

    # Changes

    def all_levers(self) -> tuple[Lever, ...]:
        return levers.levers(self.source.cluster)

    async def pull(self, wanted: Pull) -> Pulled:
        """Pull a lever, or say by which command. Raises Cannot, CannotAsk, Busy."""
        where = levers.Where(self.scene.entities, self.store.world, self.source.cluster)
        commands = levers.commands(wanted, where)
        if wanted.only_show:
            return Pulled(command=levers.shown(commands), done=False)
        return await self._change(commands)

    async def _change(self, commands: Sequence[levers.Command]) -> Pulled:
        if not self.capabilities.change.can:
            raise Cannot(self.capabilities.change.why)
        if self._changes.locked():
            raise Busy("another change is being made: wait for it")

        async def change() -> Pulled:
            async with self._changes:
                return await pulling.pull(commands, self.source.kubeconfig)

        return await self._to_its_end(change())

    # The lesson, and the matrix

    async def press(self, name: str) -> Pressed:
        """Do what a step of the lesson says. Raises Cannot, CannotAsk, Busy."""
        if name not in self.lesson.names:
            raise Cannot(f"the lesson has no step {name!r}", 404)
        press = self.lesson.press(name)
        if press.commands:
            pulled = await self._change(press.commands)
            if pulled.done:
                self.lesson.pressed(name)
            return Pressed(command=pulled.command, done=pulled.done, output=pulled.output)
        if not press.requests:
            raise Cannot(press.why, 409)
        sent = [(await self.send(each)).line for each in press.requests]
        return Pressed(
            command=self.lesson.in_words(press),
            done=True,
            output="\n".join(each.summary for each in sent),
            sent=tuple(each.id for each in sent),
        )

    async def matrix(self) -> Matrix:
        """Raises Busy."""
        world = self.store.world()
        return await self._questions.run(lambda: matrix.matrix(world, self.source.client.asks))
