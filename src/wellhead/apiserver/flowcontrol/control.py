"""Lets requests in, each as one of its flow, and has them wait where there are too many.

On one event loop most requests are answered within one turn of it, and would never meet. So a seat that is
given back is free from the loop's next turn on: of all requests that arrive together, no more are worked on
before the others' turn comes than there are seats; the rest waits in fair queues.

Seats that a level doesn't need are lent at once, and come back with the next that are given back; upstream
adjusts that every ten seconds. And where turns of the loop take long, there are fewer seats for a while
(`Room`): the lease of a node must not wait for hundreds of lists that came at the same time.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import time

from multidict import istr

from wellhead.api.errors import TooManyRequests
from wellhead.api.flowcontrol import bootstrap
from wellhead.api.flowcontrol.matching import Asked, Matcher, distinguisher, in_order, matcher
from wellhead.api.flowcontrol.queues import Waiting
from wellhead.api.flowcontrol.shares import is_exempt, seats_of
from wellhead.api.meta import Obj
from wellhead.api.resources import FLOWSCHEMAS, PRIORITYLEVELS
from wellhead.apiserver.authn import User
from wellhead.apiserver.flowcontrol.level import Level, Statistics
from wellhead.apiserver.info import RequestInfo
from wellhead.storage.cache import Collection, WatchCache
from wellhead.storage.encoding import decode
from wellhead.storage.event_log import Event

_SCHEMA_UID = istr("X-Kubernetes-Pf-Flowschema-Uid")
_LEVEL_UID = istr("X-Kubernetes-Pf-Prioritylevel-Uid")
_MOST_FLOWS = 4096
_LONG_TURN = 0.02  # seconds
_LEAST_PART = 0.02
_GROWTH = 1.1
_MANY = 20
"""Are turned away in a second; those that follow hear of it later."""
_LATER = 1.0  # seconds


class Flow:
    """What is known of all requests that are alike for the schemas. Made once, and then looked up."""

    __slots__ = ("hash", "headers", "level", "schema", "statistics")

    def __init__(
        self, schema: str, level: Level, statistics: Statistics, hash: int, headers: dict[str, str]
    ) -> None:
        self.schema = schema
        self.level = level
        self.statistics = statistics
        self.hash = hash
        self.headers = headers
        """Of the answers."""


class Seat:
    """What a request occupies until it gives it back."""

    __slots__ = ("_began", "_control", "_flow", "_waited", "_width")

    def __init__(self, control: FlowControl, flow: Flow, width: int, waited: Waiting | None) -> None:
        self._control: FlowControl | None = control
        self._flow = flow
        self._width = width
        self._waited = waited
        self._began = time.perf_counter()

    def leave(self) -> None:
        """Give it back; once is enough."""
        control, self._control = self._control, None
        if control is None:
            return
        seconds = time.perf_counter() - self._began
        self._flow.statistics.finish(self._width, seconds)
        if self._waited is not None and self._flow.level.queues is not None:
            self._flow.level.queues.took(self._waited, seconds)
        control.free(self._flow.level, self._width)


class Room:
    """Which part of its seats the server really has: as many as the loop can work off within a short turn."""

    def __init__(self) -> None:
        self.part = 1.0
        self._began = 0.0

    def begin(self) -> None:
        """A turn begins."""
        self._began = time.thread_time()

    def end(self) -> None:
        """It ends: what it took decides about the next."""
        self.took(time.thread_time() - self._began)

    def took(self, seconds: float) -> None:
        """A turn took so much of the processor's time."""
        if seconds > _LONG_TURN:
            self.part = max(_LEAST_PART, self.part * max(0.5, _LONG_TURN / seconds))
        elif self.part < 1.0:
            self.part = min(1.0, self.part * _GROWTH)


class FlowControl:
    """All priority levels of the server."""

    def __init__(self, cache: WatchCache, total: int, longest_wait: float, room: Room | None = None) -> None:
        """`total` seats; a request waits no longer than so many seconds."""
        self._total = total
        self._longest_wait = longest_wait
        self._schema_objects = cache[FLOWSCHEMAS.storage_prefix]
        self._level_objects = cache[PRIORITYLEVELS.storage_prefix]
        self.levels: dict[str, Level] = {}
        self.statistics: dict[tuple[str, str], Statistics] = {}
        """By level and schema."""
        self._schemas: list[tuple[Obj, Matcher, Level]] = []
        self._flows: dict[tuple[str, tuple[str, ...], str, str, str, str, str, str], Flow] = {}
        self.room = room or Room()
        self._freed: list[tuple[Level, int]] = []
        self._turn: asyncio.Handle | None = None
        self._outdated = False

    def start(self) -> None:
        """Follow the objects from now on."""
        self._configure()
        for collection in (self._schema_objects, self._level_objects):
            collection.observe(self._changed)

    def flow(self, user: User, info: RequestInfo) -> Flow:
        """Which flow a request belongs to."""
        resource = info.resource
        key = (
            (user.name, user.groups, info.verb, "", "", "", "", info.path)
            if resource is None
            else (
                user.name,
                user.groups,
                info.verb,
                resource.group,
                resource.plural,
                info.subresource,
                info.namespace,
                "",
            )
        )
        if self._outdated:
            self._configure()
        found = self._flows.get(key)
        if found is None:
            if len(self._flows) >= _MOST_FLOWS:
                self._flows.clear()
            found = self._flows[key] = self._classified(Asked(*key))
        return found

    async def enter(self, flow: Flow, width: int = 1) -> Seat:
        """A seat for a request of the flow, once there is one. Raises TooManyRequests."""
        level, statistics = flow.level, flow.statistics
        width = min(width, level.seats.widest)
        waited: Waiting | None = None
        # Who comes while others wait has to wait, too.
        if not level.exempt and (level.queues or not self._has_room(level, width)):
            waited = await self._wait(flow, width)
        else:
            level.taken += width
        statistics.dispatched += 1
        statistics.executing += 1
        statistics.seats += width
        return Seat(self, flow, width, waited)

    def free(self, level: Level, width: int) -> None:
        """Seats of this level are free from the loop's next turn on."""
        self._freed.append((level, width))
        if self._turn is None:
            self.room.begin()
            self._turn = asyncio.get_running_loop().call_soon(self._next_turn)

    def _has_room(self, level: Level, width: int) -> bool:
        seats, needed, part = level.seats, level.taken + width, self.room.part
        if not level.taken or needed <= seats.nominal * part:
            return True
        if needed > seats.upper or part < 1.0:
            return False
        others = self.levels.values()
        lent = sum(each.borrowed for each in others) - level.borrowed
        spare = sum(each.spare for each in others if each is not level and not each.exempt)
        return lent + needed - seats.nominal <= spare

    async def _wait(self, flow: Flow, width: int) -> Waiting:
        level, statistics = flow.level, flow.statistics
        loop = asyncio.get_running_loop()
        ticket: asyncio.Future[None] = loop.create_future()
        waiting = Waiting(flow.hash, width, ticket)
        if level.queues is None:
            raise await self._refused(flow, "concurrency-limit")
        if not level.queues.add(waiting, level.queues.hand(flow.hash)):
            raise await self._refused(flow, "queue-full")
        began = loop.time()
        statistics.waiting += 1
        statistics.waiting_seats += width
        late = loop.call_later(self._longest_wait, ticket.cancel)
        try:
            await asyncio.wait((ticket,))
            if ticket.cancelled():
                self._give_up(level, waiting)
                raise await self._refused(flow, "time-out")
        except asyncio.CancelledError:  # the client has left
            if ticket.done() and not ticket.cancelled():
                self.free(level, width)
            else:
                self._give_up(level, waiting)
            statistics.rejected["cancelled"] += 1
            raise
        finally:
            late.cancel()
            statistics.waiting -= 1
            statistics.waiting_seats -= width
            statistics.waited_for(loop.time() - began)
        return waiting

    def _give_up(self, level: Level, waiting: Waiting) -> None:
        if level.queues is not None and waiting.is_there:
            level.queues.remove(waiting)

    async def _refused(self, flow: Flow, reason: str) -> TooManyRequests:
        """To turn somebody away costs as much as a small answer. Who comes again at once, whatever he is
        told, is told it later, while there are many of those."""
        retry = flow.level.retry
        flow.statistics.rejected[reason] += 1
        again = retry.dropped(asyncio.get_running_loop().time())
        if retry.count > _MANY:
            await asyncio.sleep(_LATER * (1 + random.random()))
        return TooManyRequests(retry_after=again).exceeding("requests")

    def _next_turn(self) -> None:
        self._turn = None
        if self._outdated:
            self._configure()
        if self._freed:
            self.room.end()
        for level, width in self._freed:
            level.taken -= width
        self._freed.clear()
        waiting = [level for level in self.levels.values() if level.queues]
        # Who lends gets back its own before anybody borrows more.
        for level in sorted(waiting, key=lambda each: each.taken >= each.seats.nominal):
            self._start_waiting(level)

    def _start_waiting(self, level: Level) -> None:
        while level.queues and (first := level.queues.first()) is not None:
            if not self._has_room(level, first.width):
                return
            level.queues.take(first)
            level.taken += first.width
            first.ticket.set_result(None)

    def _changed(self, event: Event) -> None:
        del event
        self._outdated = True  # many change at once, when a server starts
        if self._turn is None:
            self._turn = asyncio.get_running_loop().call_soon(self._next_turn)

    def _configure(self) -> None:
        """Take the objects as they are now. What is mandatory is there also while its object isn't."""
        self._outdated = False
        levels = bootstrap.levels()
        found = {name: levels[name] for name in bootstrap.MANDATORY} | _objects(self._level_objects)
        shares = seats_of(found.values(), self._total)
        for name, obj in found.items():
            level = self.levels.setdefault(name, Level(name))
            level.configure(obj, shares[name], exempt=is_exempt(obj))
        for name in [name for name in self.levels if name not in found]:
            # Those that still wait in it are let in as before; nobody else comes.
            if not self.levels[name].queues:
                del self.levels[name]
        named = bootstrap.schemas()
        schemas = {name: named[name] for name in bootstrap.MANDATORY} | _objects(self._schema_objects)
        self._schemas = []
        for schema in in_order(schemas.values()):
            name = schema["spec"]["priorityLevelConfiguration"]["name"]
            if name in found:
                self._schemas.append((schema, matcher(schema), self.levels[name]))
        self._flows.clear()

    def _classified(self, asked: Asked) -> Flow:
        # Who is in no group at all (one may act as such a user) falls under the last.
        schema, _, level = next((each for each in self._schemas if each[1](asked)), self._schemas[-1])
        name = schema["metadata"]["name"]
        text = f"{name}\0{distinguisher(schema, asked)}"
        hashed = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
        headers: dict[str, str] = {
            _SCHEMA_UID: schema["metadata"].get("uid") or "",
            _LEVEL_UID: level.uid,
        }
        statistics = self.statistics.setdefault((level.name, name), Statistics())
        return Flow(name, level, statistics, hashed, headers)


def _objects(collection: Collection) -> dict[str, Obj]:
    return {item.name: decode(item.data) for item in collection.items("")}
