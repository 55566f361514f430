"""watch: what happens to the objects that a selection covers, as a stream of lines."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from functools import partial

from aiohttp import web

from wellhead.api.errors import Gone, Timeout
from wellhead.apiserver.answers import form_of
from wellhead.apiserver.call import Call
from wellhead.apiserver.registry.registry import Registry
from wellhead.apiserver.revisions import check_options, fresh, requested_revision
from wellhead.apiserver.selection import Selection, selection
from wellhead.apiserver.verbs.watch_stream import CHUNK, Stream, stream_for
from wellhead.apiserver.watches import Watches
from wellhead.storage.event_log import EventType, Item
from wellhead.storage.store import Compacted
from wellhead.storage.watcher import Watcher, WatchOverflow

_MIN_TIMEOUT = 1800  # seconds; a watch without a limit of its own gets up to twice that, as upstream
_MAX_TIMEOUT = 24 * 3600  # no clock of an event loop reaches as far as a client's number may
_INITIAL_EVENTS_END = "k8s.io/initial-events-end"


async def watch(call: Call, registry: Registry, watches: Watches) -> web.StreamResponse:
    """Raises BadRequest, Invalid, NotAcceptable, TooManyRequests; nothing once the first byte is sent.

    A version that is too old, or isn't there yet to begin with its objects, is said by an event, as upstream
    does once a request has been understood.
    """
    with watches.open(call.user.name):
        return await _watch(call, registry, watches)


async def _watch(call: Call, registry: Registry, watches: Watches) -> web.StreamResponse:
    form = form_of(call)
    chosen = selection(call, registry)
    bookmarks = call.flag("allowWatchBookmarks")
    check_options(call)
    # KEP-3157; None: the client doesn't say.
    initial = call.flag("sendInitialEvents") if "sendInitialEvents" in call.query else None
    revision, _ = requested_revision(call)
    collection = registry.collection(call.resource)
    # Without a version, or from "0", a watch begins with what is there (unless told otherwise).
    if initial is None:
        initial = not revision
    after = None if initial or not revision else revision
    late = _Late(call, registry, chosen, after) if chosen.converted else None
    stream = stream_for(call, registry, form)
    try:
        if initial and revision:
            await fresh(registry.cache, revision)
        watcher = collection.watch(chosen.namespace, None if late else chosen.matches, after)
    except Compacted:
        return await stream.refuse(Gone.too_old(after or 0, collection.oldest))
    except Timeout as error:
        return await stream.refuse(error)
    transport = call.http.transport
    if transport is not None:
        watcher.on_overflow = partial(watches.cut_off, transport)
        transport.set_write_buffer_limits(CHUNK)  # as much as is kept for a client who doesn't read
    try:
        existing = collection.items(chosen.namespace) if initial else []
        stream.known = max(after or 0, registry.cache.revision)  # before anybody waits for anything
        if late is not None:
            watcher.after = 0  # to know which objects the client has seen, it has to hear all
            await late.start()
        await stream.open()
        if existing:
            if late is not None:
                await registry.prepare(call.resource, existing)
            seen: Iterable[Item] = filter(chosen.matches, existing) if chosen.matches else existing
            await stream.events([("ADDED", item) for item in seen])
        if call.flag("sendInitialEvents"):
            await stream.bookmark(stream.known, {_INITIAL_EVENTS_END: "true"})
        if call.seat is not None:
            call.seat.leave()
        seconds = watches.bookmark_seconds if bookmarks else None
        await stream.during(_follow(call, registry, watcher, stream, seconds, late))
    finally:
        collection.unwatch(watcher)
    return stream.response


class _Late:
    """Selects events whose objects have to be converted first: which were seen has to be remembered."""

    def __init__(self, call: Call, registry: Registry, chosen: Selection, after: int | None) -> None:
        self._call = call
        self._registry = registry
        assert chosen.matches is not None
        self._matches = chosen.matches
        self._namespace = chosen.namespace
        self._after = after
        self._seen: set[tuple[str, str]] | None = None

    async def start(self) -> None:
        """Learn what the client has seen, in the state from which on it watches."""
        collection = self._registry.collection(self._call.resource)
        if self._after is None:
            items = collection.items(self._namespace)
        else:
            items = collection.items_at(self._after, self._namespace)
        await self._registry.prepare(self._call.resource, items)
        self._seen = {(item.namespace, item.name) for item in items if self._matches(item)}

    async def chosen(self, events: list[tuple[EventType, Item]]) -> list[tuple[EventType, Item]]:
        """Those that the client sees, as what it sees them."""
        assert self._seen is not None
        await self._registry.prepare(self._call.resource, [item for _, item in events])
        found: list[tuple[EventType, Item]] = []
        for kind, item in events:
            key = (item.namespace, item.name)
            before, after = key in self._seen, kind != "DELETED" and self._matches(item)
            news: EventType | None = None
            if after:
                self._seen.add(key)
                news = "MODIFIED" if before else "ADDED"
            elif before:
                self._seen.discard(key)
                news = "DELETED"
            if news is not None and item.revision > (self._after or 0):
                found.append((news, item))
        return found


async def _follow(
    call: Call,
    registry: Registry,
    watcher: Watcher,
    stream: Stream,
    bookmark_seconds: float | None,
    late: _Late | None,
) -> None:
    """Pass events on until the client's time is up, it is too slow, or the server stops.

    `bookmark_seconds` without any bring a bookmark; None: the client wants none.
    """
    loop = asyncio.get_running_loop()
    seconds = call.number("timeoutSeconds") or random.randint(_MIN_TIMEOUT, 2 * _MIN_TIMEOUT)
    seconds = min(seconds, _MAX_TIMEOUT)
    end = loop.time() + seconds
    while (left := end - loop.time()) > 0:
        try:
            async with asyncio.timeout(min(left, bookmark_seconds or left)):
                events = await watcher.next()
        except TimeoutError:
            # An event may have come at the very moment when the time was up.
            if bookmark_seconds is not None and watcher.caught_up:
                await stream.bookmark(max(stream.known, registry.cache.revision))
            continue
        except WatchOverflow:
            return  # and its connection is cut off already
        if not events:
            return
        if late is not None:
            events = await late.chosen(events)
        await stream.events(events)
    await stream.close()
