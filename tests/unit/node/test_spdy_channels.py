"""The remote-command protocol over SPDY, with a program of this process for the container's."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator

import msgspec
import pytest
from aiohttp import web

from tests.patience import PATIENCE
from tests.unit.node.spdy_client import Client, control
from wellhead.node.server import spdy
from wellhead.node.server.channels import STDERR, STDOUT, Input, Resize, exited
from wellhead.node.server.spdy_channels import channels_for

HEAD = (
    "POST /{query} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"
    "X-Stream-Protocol-Version: {protocol}\r\nX-Stream-Protocol-Version: v3.channel.k8s.io\r\n\r\n"
)


async def shout(request: web.Request) -> web.StreamResponse:
    """Say what comes in louder, and what size the terminal has; a failure at the end."""
    session = channels_for(request)
    await session.open(request)
    async for received in session.received():
        match received:
            case Resize(rows, columns):
                await session.send(STDOUT, f"{rows}x{columns} ".encode())
            case Input(b""):
                break
            case Input(data):
                await session.send(STDOUT, data.upper())
                await session.send(STDERR, b"!")
    await session.finish(exited(3))
    return session.response


@pytest.fixture
async def port() -> AsyncIterator[int]:
    app = web.Application()
    app.router.add_post("/", shout)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


@contextlib.asynccontextmanager
async def connected(
    port: int, query: str = "", protocol: str = "v4.channel.k8s.io"
) -> AsyncIterator[tuple[str, asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(HEAD.format(query=query, protocol=protocol).encode())
    async with asyncio.timeout(PATIENCE):
        answer = (await reader.readuntil(b"\r\n\r\n")).decode()
        yield answer, reader, writer
    writer.close()


async def frames(reader: asyncio.StreamReader) -> AsyncIterator[tuple[int, int, bytes]]:
    """(first word, flags, payload) of what comes, to the end."""
    with contextlib.suppress(asyncio.IncompleteReadError):
        while True:
            first, second = struct.unpack(">II", await reader.readexactly(8))
            yield first, second >> 24, await reader.readexactly(second & 0xFFFFFF)


async def test_each_channel_is_a_stream(port: int) -> None:
    async with connected(port, "?input=1&output=1&error=1") as (answer, reader, writer):
        assert answer.startswith("HTTP/1.1 101 ")
        assert "Upgrade: SPDY/3.1" in answer
        assert "X-Stream-Protocol-Version: v4.channel.k8s.io" in answer
        client = Client()
        for number, kind in ((1, "error"), (3, "stdin"), (5, "stdout"), (7, "stderr")):
            writer.write(client.open(number, {"streamtype": kind}))
        writer.write(control(6, struct.pack(">I", 1)))
        writer.write(spdy.data(3, b"hello "))
        writer.write(spdy.data(3, b"x" * 100_000))
        writer.write(spdy.data(3, b"", last=True))
        found: dict[int, bytes] = {1: b"", 5: b"", 7: b""}
        ended = set()
        controls = []
        async for first, flags, payload in frames(reader):
            if first >> 31:
                controls.append(first & 0xFFFF)
                continue
            found[first] += payload
            if flags:
                ended.add(first)
            if ended == {1, 5, 7}:
                break
    assert controls == [2, 2, 2, 2, 6]
    assert found[5] == b"HELLO " + b"X" * 100_000
    assert set(found[7]) == {ord("!")}
    assert msgspec.json.decode(found[1])["details"]["causes"] == [{"reason": "ExitCode", "message": "3"}]


async def test_a_terminal_has_a_size(port: int) -> None:
    async with connected(port, "?input=1&output=1&error=1&tty=1") as (_, reader, writer):
        client = Client()
        for number, kind in ((1, "error"), (3, "stdin"), (5, "stdout"), (7, "resize")):
            writer.write(client.open(number, {"streamtype": kind}))
        writer.write(spdy.data(7, b'{"Width":80,"Height":24}\n'))
        writer.write(spdy.data(3, b"", last=True))
        async for first, _, payload in frames(reader):
            if first == 5:
                assert payload == b"24x80 "
                break


async def test_who_offers_no_protocol_of_ours_is_refused(port: int) -> None:
    async with connected(port, protocol="v9.channel.k8s.io") as (answer, _, _):
        assert answer.startswith("HTTP/1.1 403 ")
