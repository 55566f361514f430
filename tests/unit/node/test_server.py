"""The agent's HTTP server, without pods."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator
from typing import cast

import aiohttp
import msgspec
import pytest
from aiohttp import web

from tests.patience import PATIENCE
from wellhead.health import Health
from wellhead.node.server import app, channels, requests
from wellhead.node.server.channels import Channels, Input, Resize
from wellhead.node.server.requests import Services
from wellhead.node.server.subprotocols import REMOTE_COMMAND


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
        session.ws_connect(url, protocols=["v5.channel.k8s.io"]) as socket,
    ):
        assert await socket.receive_bytes() == b"\x03"  # it is set up
        await socket.send_bytes(b"\x00bytes")
        await socket.send_str("\x00t\u00e4xt")
        await socket.send_str('\x04{"Width": 80, "Height": 24}')
        await socket.send_bytes(b"")
        await socket.send_bytes(b"\xff\x00")
        async with asyncio.timeout(PATIENCE):
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


@pytest.mark.parametrize("name", list(REMOTE_COMMAND))
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_every_version_of_the_channels_is_spoken(name: str, method: str) -> None:
    """Those before v4 tell only what went wrong, and as a text; who names none speaks the first of them."""

    async def echo(request: web.Request) -> web.StreamResponse:
        session = Channels()
        await session.open(request)
        received = await anext(session.received())
        assert isinstance(received, Input)
        await session.send(channels.STDOUT, received.data)
        await session.finish(channels.exited(3) if request.query.get("fails") else channels.success())
        return session.response

    application = web.Application()
    application.router.add_route("*", "/", echo)
    is_text, tells = "base64" in name, name.startswith(("v4", "v5"))

    def sent(channel: int, data: bytes) -> bytes | str:
        return f"{channel}{base64.b64encode(data).decode()}" if is_text else bytes([channel]) + data

    async with _serving(application) as url, aiohttp.ClientSession() as session:
        for query in ("output=1", "output=1&fails=1"):
            offered = ["other.example", name] if name else []
            async with session.ws_connect(f"{url}?{query}", protocols=offered, method=method) as socket:
                assert (socket.protocol or "") == name
                given = sent(channels.STDIN, b"a\xff")
                await (socket.send_str(given) if isinstance(given, str) else socket.send_bytes(given))
                found = [message.data async for message in socket]
            status = channels.exited(3) if "fails" in query else channels.success()
            expected = [sent(channels.STDOUT, b""), sent(channels.STDOUT, b"a\xff")]
            if tells:
                expected.append(sent(channels.STATUS, msgspec.json.encode(status)))
            elif "fails" in query:
                text = b"command terminated with non-zero exit code: exit status 3"
                expected.append(sent(channels.STATUS, text))
            assert found == expected


async def test_a_protocol_that_is_not_known_is_refused() -> None:
    application = web.Application()

    async def opened(request: web.Request) -> web.StreamResponse:
        session = Channels()
        await session.open(request)
        return session.response

    application.router.add_get("/", opened)
    async with _serving(application) as url, aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(url, protocols=["v6.channel.k8s.io"])
    assert refused.value.status == 400


def test_what_is_no_message_of_the_protocol_is_passed_over() -> None:
    for name in REMOTE_COMMAND:
        assert REMOTE_COMMAND[name].content(b"") is None
    text = REMOTE_COMMAND["base64.channel.k8s.io"]
    assert text.content(b"0!") is None
    assert text.content(b" aGk=") is None
    assert text.content(b"1aGk=") == (1, b"hi")
