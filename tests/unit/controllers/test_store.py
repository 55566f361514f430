"""A store shows its own writes at once, and the server's newer ones as they come."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import pytest

from tests.patience import pass_time, settled
from wellhead.api.meta import Obj, is_deleting
from wellhead.api.resources import PODS
from wellhead.client.rest import Client, Event, Listing
from wellhead.controllers.store import Store


def pod(name: str, version: int, node: str = "node-1", uid: str = "") -> Obj:
    metadata = {"name": name, "namespace": "default", "uid": uid or name, "resourceVersion": str(version)}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"nodeName": node}}


class Server:
    """Answers writes at once; its watch says what the test makes it say."""

    def __init__(self, *objects: Obj) -> None:
        self.objects = objects
        self.events: asyncio.Queue[Event] = asyncio.Queue()

    async def listing(self, *_: Any, **__: Any) -> Listing:
        return Listing("1", iter(self.objects))

    async def watch(self, *_: Any, on_open: Callable[[], None], **__: Any) -> AsyncIterator[Event]:
        on_open()
        while True:
            yield await self.events.get()

    async def create(self, _: Any, obj: Obj) -> Obj:
        return obj

    async def update(self, _: Any, obj: Obj, subresource: str = "") -> Obj:
        return obj

    async def delete(self, *_: Any, **__: Any) -> Obj:
        return {"kind": "Status"}

    async def say(self, type: str, obj: Obj) -> None:
        await self.events.put(Event(type, obj))
        await settled()


@contextlib.asynccontextmanager
async def following(server: Server) -> AsyncIterator[Store[Obj]]:
    store: Store[Obj] = Store(cast(Client, server), PODS, {"node": lambda obj: [obj["spec"]["nodeName"]]})
    running = asyncio.ensure_future(store.run())
    try:
        await store.synced()
        yield store
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def names(objects: list[Obj]) -> list[str]:
    return sorted(f"{obj['metadata']['name']}@{obj['metadata']['resourceVersion']}" for obj in objects)


async def test_a_created_object_is_there_before_and_after_the_watch_shows_it() -> None:
    server = Server(pod("a", 1))
    async with following(server) as store:
        await store.create(pod("b", 5))
        assert names(store.values()) == names(store.by_index("node", "node-1")) == ["a@1", "b@5"]
        await server.say("ADDED", pod("b", 5))
        await server.say("MODIFIED", pod("b", 6))
        assert names(store.by_index("node", "node-1")) == ["a@1", "b@6"]


async def test_an_older_event_does_not_undo_a_write() -> None:
    server = Server(pod("a", 1))
    async with following(server) as store:
        await store.update(pod("a", 5, "node-2"))
        await server.say("MODIFIED", pod("a", 3))
        assert store.by_index("node", "node-1") == []
        assert names(store.by_index("node", "node-2")) == ["a@5"]
        await server.say("MODIFIED", pod("a", 6))
        assert names(store.by_index("node", "node-1")) == ["a@6"]


async def test_a_deleted_object_counts_as_deleting_until_it_is_gone() -> None:
    server = Server(pod("a", 1))
    async with following(server) as store:
        await store.delete(pod("a", 1))
        await server.say("MODIFIED", pod("a", 2))
        [found] = store.by_index("node", "node-1")
        assert is_deleting(found)
        await server.say("DELETED", pod("a", 3))
        assert store.values() == []
        await server.say("ADDED", pod("a", 4, uid="another"))
        assert names(store.values()) == ["a@4"]


async def test_the_watch_may_be_faster_than_the_answer() -> None:
    server = Server()
    async with following(server) as store:
        await server.say("ADDED", pod("a", 5))
        await server.say("MODIFIED", pod("a", 6))
        await store.create(pod("a", 5))
        assert names(store.values()) == ["a@6"]


async def test_a_write_that_was_undone_unseen_is_forgotten_and_told() -> None:
    server = Server()
    async with following(server) as store:
        told: list[tuple[Obj | None, Obj | None]] = []
        store.on_change(lambda old, new: told.append((old, new)))
        created = await store.create(pod("a", 5))
        assert names(store.values()) == ["a@5"]
        await pass_time(60)
        assert store.values() == []
        assert told == [(created, None)]


async def test_a_handler_that_fails_hurts_nobody_else(caplog: pytest.LogCaptureFixture) -> None:
    server = Server(pod("a", 1))
    seen: list[str] = []
    async with following(server) as store:
        store.on_change(lambda old, new: [][1])
        store.on_change(lambda old, new: seen.append("told"))
        await server.say("MODIFIED", pod("a", 2))
        assert seen == ["told", "told"]
    assert "a handler failed" in caplog.text


async def test_what_handlers_hear_of_is_an_echo_only_as_long_as_nobody_else_wrote() -> None:
    server = Server(pod("a", 1))
    async with following(server) as store:
        heard = list[bool]()
        store.on_change(lambda old, new: heard.append(store.echoes))
        await store.update(pod("a", 5))
        await server.say("MODIFIED", pod("a", 3))  # somebody's, before ours
        await server.say("MODIFIED", pod("a", 5))
        await server.say("MODIFIED", pod("a", 6))
        await store.update(pod("a", 7))
        await server.say("MODIFIED", pod("a", 8))  # ours and another's in one
        await store.delete(pod("a", 8))
        await server.say("DELETED", pod("a", 9))
        assert heard == [False, False, True, False, False, False]
