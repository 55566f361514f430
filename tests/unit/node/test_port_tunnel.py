"""Connections into a pod as kubectl forwards them, with a program of this process for the pod's."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import cast

import aiohttp
import pytest
from aiohttp import web

from tests.patience import PATIENCE
from tests.unit.node.spdy_client import Client
from wellhead.node.pods.state import PodState
from wellhead.node.server import port_tunnel, spdy

Program = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Kubectl:
    """Opens connections, and takes apart what comes back."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self._client = Client()

    async def connect(self, request: int, port: int | str = 80) -> tuple[int, int]:
        """The numbers of the error stream and of the data stream."""
        error, data = 4 * request + 1, 4 * request + 3
        headers = {"port": str(port), "requestid": str(request)}
        for stream, kind in ((error, "error"), (data, "data")):
            await self.send(self._client.open(stream, {**headers, "streamtype": kind}))
        await self.send(spdy.data(error, b"", last=True))
        return error, data

    async def send(self, frame: bytes) -> None:
        await self.socket.send_bytes(frame)

    async def until_over(self, *streams: int) -> dict[int, bytes]:
        """What came on these streams, once both sides of all are closed."""
        found = dict.fromkeys(streams, b"")
        left = set(streams)
        async with asyncio.timeout(PATIENCE):
            while left:
                frame = await self.socket.receive_bytes()
                stream, rest = struct.unpack_from(">II", frame)
                if stream in found:
                    found[stream] += frame[8:]
                    left -= {stream} if rest >> 24 else set()
        return found


@pytest.fixture
async def program(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[Program]]:
    """What listens on port 80 of the pod: the last of these. Nothing does on other ports."""
    programs: list[Program] = []

    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await programs[-1](reader, writer)
        writer.close()

    server = await asyncio.start_server(run, "127.0.0.1", 0)
    number = server.sockets[0].getsockname()[1]

    async def connect(_state: object, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", number if port == 80 else 1)

    monkeypatch.setattr(port_tunnel, "connect", connect)
    async with server:
        yield programs


@pytest.fixture
async def kubectl(program: list[Program]) -> AsyncIterator[Kubectl]:
    async def handle(request: web.Request) -> web.StreamResponse:
        return await port_tunnel.tunnel(request, cast(PodState, None))

    app = web.Application()
    app.router.add_get("/", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(url, protocols=[port_tunnel.PROTOCOL]) as socket,
        ):
            assert socket.protocol == port_tunnel.PROTOCOL
            yield Kubectl(socket)
    finally:
        await runner.cleanup()


async def _upper(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data.upper())
        await writer.drain()


async def _silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def test_many_connections_share_a_session(kubectl: Kubectl, program: list[Program]) -> None:
    program.append(_upper)
    streams = [await kubectl.connect(request) for request in range(5)]
    for error, data in reversed(streams):
        await kubectl.send(spdy.data(data, b"a" * 100_000 + b"%d" % error))
        await kubectl.send(spdy.data(data, b"", last=True))
    found = await kubectl.until_over(*(stream for pair in streams for stream in pair))
    for error, data in streams:
        assert found[error] == b""
        assert found[data] == b"A" * 100_000 + b"%d" % error


async def test_a_refused_connection_says_so(kubectl: Kubectl) -> None:
    error, data = await kubectl.connect(0, 81)
    found = await kubectl.until_over(error, data)
    assert found[error].startswith(b"error forwarding port 81 to pod: ")
    assert found[data] == b""


async def test_a_connection_that_is_given_up_ends_and_others_go_on(
    kubectl: Kubectl, program: list[Program]
) -> None:
    program.append(_silent)
    error, data = await kubectl.connect(0)
    await kubectl.send(spdy.reset(data))
    assert await kubectl.until_over(error) == {error: b""}
    await kubectl.send(spdy.data(data, b"late"))
    program.append(_upper)
    error, data = await kubectl.connect(1)
    await kubectl.send(spdy.data(data, b"x", last=True))
    assert (await kubectl.until_over(error, data))[data] == b"X"


async def test_a_program_that_reads_nothing_holds_up_nobody_once_it_has_gone(
    kubectl: Kubectl, program: list[Program]
) -> None:
    async def leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.1)

    program.append(leave)
    error, data = await kubectl.connect(0)
    for _ in range(100):
        await kubectl.send(spdy.data(data, bytes(100_000)))
    await kubectl.until_over(error)


async def test_pings_are_answered_and_odd_streams_refused(kubectl: Kubectl) -> None:
    await kubectl.send(spdy.ping(1))
    assert await kubectl.socket.receive_bytes() == spdy.ping(1)
    await kubectl.connect(0, "http")
    for stream in (1, 3):
        assert await kubectl.socket.receive_bytes() == spdy.reset(stream)


async def test_a_client_that_speaks_something_else_is_let_go(kubectl: Kubectl) -> None:
    await kubectl.send(b"GET / HTTP/1.1\r\n\r\n")
    assert (await kubectl.socket.receive()).type is aiohttp.WSMsgType.CLOSE


async def test_what_no_kubectl_asks_is_refused(kubectl: Kubectl, program: list[Program]) -> None:
    async def wait(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    program.append(wait)
    client = Client()

    async def opened(stream: int, kind: str, request: int, port: str = "80") -> bool:
        headers = {"streamtype": kind, "port": port, "requestid": str(request)}
        await kubectl.send(client.open(stream, headers))
        return await kubectl.socket.receive_bytes() != spdy.reset(stream)

    assert not await opened(1, "error", 1, "9" * 5000)  # more digits than Python takes for a number
    assert await opened(1, "error", 1)
    assert await opened(3, "data", 1)
    assert await opened(5, "error", 2)
    assert not await opened(3, "data", 2)
    for number in range(3, port_tunnel.MOST_STREAMS + 2):
        assert await opened(2 * number + 1, "error", number)
    assert not await opened(1_000_001, "error", 1_000_000)
