"""The agent's HTTP server, without pods."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import cast

import aiohttp
import pytest
from aiohttp import web

from wellhead.health import Health
from wellhead.node.server import app, channels, requests
from wellhead.node.server.channels import Channels, Input, Resize
from wellhead.node.server.requests import Services


@contextlib.asynccontextmanager
async def _serving(application: web.Application) -> AsyncIterator[str]:
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def _application() -> web.Application:
    return app.application(cast(Services, None), Health(list))


async def test_a_client_that_leaves_early_is_no_error(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(request: web.Request) -> web.StreamResponse:
        raise aiohttp.ClientConnectionResetError("Cannot write to closing transport")

    monkeypatch.setattr(app, "_pods", gone)
    monkeypatch.setattr(app, "_subject", lambda _: {"organizationName": ["system:masters"]})
    async with (
        _serving(_application()) as url,
        aiohttp.ClientSession() as session,
    ):
        with pytest.raises(aiohttp.ClientError):
            await session.get(f"{url}/pods")
    assert not caplog.records


async def test_input_may_come_as_bytes_or_as_text() -> None:
    found: asyncio.Queue[object] = asyncio.Queue()

    async def listen(request: web.Request) -> web.StreamResponse:
        session = Channels()
        await session.open(request)
        async for received in session.received():
            found.put_nowait(received)
        return session.response

    application = web.Application()
    application.router.add_get("/", listen)
    async with (
        _serving(application) as url,
        aiohttp.ClientSession() as session,
        session.ws_connect(url, protocols=channels.PROTOCOLS) as socket,
    ):
        await socket.send_bytes(b"\x00bytes")
        await socket.send_str("\x00t\u00e4xt")
        await socket.send_str('\x04{"Width": 80, "Height": 24}')
        await socket.send_bytes(b"")
        await socket.send_bytes(b"\xff\x00")
        async with asyncio.timeout(5):
            received = [await found.get() for _ in range(4)]
    assert received == [Input(b"bytes"), Input("t\u00e4xt".encode()), Resize(24, 80), Input(b"")]


async def test_a_stream_that_is_asked_for_without_an_upgrade_starts_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the API server asks to learn why a client of another protocol would be refused."""
    monkeypatch.setattr(app, "_subject", lambda _: {"organizationName": ["system:masters"]})
    monkeypatch.setattr(requests, "running", lambda _: None)
    monkeypatch.setattr(requests, "target", lambda _: None)
    monkeypatch.setattr(requests, "pod", lambda _: None)
    async with (
        _serving(_application()) as url,
        aiohttp.ClientSession() as session,
    ):
        for path in ("exec/a/b/c?command=ls", "attach/a/b/c?input=1", "portForward/a/b"):
            for headers in ({}, {"Upgrade": "h2c", "Connection": "Upgrade"}):
                async with session.get(f"{url}/{path}", headers=headers) as answer:
                    assert answer.status == 426, path
        async with session.get(f"{url}/exec/a/b/c") as answer:
            assert (answer.status, "at least one command" in await answer.text()) == (400, True)
