"""A server that hangs keeps its connections: a watch that hears nothing, not even a bookmark, is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.patience import pass_time
from wellhead.api.resources import PODS
from wellhead.client.connection import Connection
from wellhead.client.informer import Informer
from wellhead.client.rest import Client, ConnectionLost

_LIST = {"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "5"}, "items": []}
_BOOKMARK = b'{"type":"BOOKMARK","object":{"kind":"Pod","metadata":{"resourceVersion":"5"}}}\n'
Speak = Callable[[web.StreamResponse], Awaitable[None]]


@asynccontextmanager
async def _watching(speak: Speak) -> AsyncIterator[Client]:
    """A client of a server that lists nothing, and whose watches say what `speak` does."""

    async def pods(request: web.Request) -> web.StreamResponse:
        if "watch" not in request.query:
            return web.json_response(_LIST)
        response = web.StreamResponse()
        await response.prepare(request)
        await speak(response)
        return response

    app = web.Application()
    app.router.add_get("/api/v1/pods", pods)
    async with (
        TestServer(app, handler_cancellation=True) as server,
        Client(Connection(f"http://127.0.0.1:{server.port}"), "test") as client,
    ):
        yield client


async def _silence(_: web.StreamResponse) -> None:
    await asyncio.Event().wait()


async def _bookmarks(response: web.StreamResponse) -> None:
    while True:
        await pass_time(60)
        await response.write(_BOOKMARK)


async def test_a_watch_that_hears_nothing_for_minutes_counts_as_lost() -> None:
    began = asyncio.get_running_loop().time()
    async with _watching(_silence) as client:
        with pytest.raises(ConnectionLost, match="watching pods"):
            await anext(aiter(client.watch(PODS, resource_version="5")))
    assert 180 <= asyncio.get_running_loop().time() - began <= 230


async def test_one_in_which_nothing_happens_but_bookmarks_lives_on() -> None:
    async with _watching(_bookmarks) as client:
        informer = Informer(client, PODS)
        running = asyncio.ensure_future(informer.run())
        await informer.synced()
        for _ in range(10):
            await pass_time(60)
            assert not informer.lagging
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
