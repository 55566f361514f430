"""Answers come compressed, as any server may choose for long ones; watches don't."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from wellhead.api.errors import NotFound
from wellhead.api.resources import PODS
from wellhead.client.connection import Connection
from wellhead.client.rest import Client, ConnectionLost

_POD = {"metadata": {"name": "p", "namespace": "default", "resourceVersion": "5"}}
_LIST = msgspec.json.encode({"metadata": {"resourceVersion": "5"}, "items": [_POD] * 2000})


@asynccontextmanager
async def _served(answer: Callable[[web.Request], web.StreamResponse]) -> AsyncIterator[Client]:
    async def pods(request: web.Request) -> web.StreamResponse:
        return answer(request)

    app = web.Application()
    app.router.add_get("/{path:.*}", pods)
    async with (
        TestServer(app) as server,
        Client(Connection(f"http://127.0.0.1:{server.port}"), "test") as client,
    ):
        yield client


def _zipped(body: bytes, status: int = 200) -> web.Response:
    return web.Response(body=body, status=status, headers={"Content-Encoding": "gzip"})


async def test_a_list_comes_compressed_and_is_read() -> None:
    asked: list[str] = []

    def answer(request: web.Request) -> web.Response:
        asked.append(request.headers["Accept-Encoding"])
        return _zipped(gzip.compress(_LIST))

    async with _served(answer) as client:
        listing = await client.listing(PODS)
        assert len(list(listing.items)) == 2000
        assert len((await client.list(PODS))["items"]) == 2000
    assert asked == ["gzip", "gzip"]


async def test_a_list_comes_as_it_is_where_the_server_likes() -> None:
    async with _served(lambda _: web.Response(body=_LIST)) as client:
        assert len((await client.list(PODS))["items"]) == 2000


async def test_an_error_may_be_compressed_too() -> None:
    status = {"kind": "Status", "status": "Failure", "code": 404, "reason": "NotFound", "message": "no p"}
    async with _served(lambda _: _zipped(gzip.compress(msgspec.json.encode(status)), 404)) as client:
        with pytest.raises(NotFound, match="no p"):
            await client.get(PODS, "p", "default")


@pytest.mark.parametrize(
    "body", [b"not compressed", gzip.compress(_LIST)[:-9], gzip.compress(_LIST)[:-4] + b"\xff" * 4]
)
async def test_what_cannot_be_decompressed_is_a_lost_connection(body: bytes) -> None:
    async with _served(lambda _: _zipped(body)) as client:
        with pytest.raises(ConnectionLost, match="GET /api/v1/pods: Error"):
            await client.list(PODS)


async def test_a_watch_asks_for_lines_as_they_are() -> None:
    def answer(request: web.Request) -> web.Response:
        line = {"type": "ADDED", "object": {**_POD, "said": request.headers["Accept-Encoding"]}}
        return web.Response(body=msgspec.json.encode(line) + b"\n")

    async with _served(answer) as client:
        event = await anext(aiter(client.watch(PODS, resource_version="5")))
    assert event.object["said"] == "identity"
