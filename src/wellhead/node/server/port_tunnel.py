"""GET /portForward/NAMESPACE/POD as kubectl asks: many connections, as SPDY streams inside of a WebSocket.

For each connection the client opens two streams with the same `requestID`: one of `streamType` error, which
it doesn't write to, then one of type data. Both name the port. A message on the error stream says that the
connection failed; its end, that the connection is over.
Source: KEP-4006; client-go tools/portforward/portforward.go.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import Awaitable, Callable

import aiohttp
from aiohttp import web

from wellhead.node.pods.state import PodState
from wellhead.node.server import spdy
from wellhead.node.server.pod_connection import BLOCK, connect
from wellhead.node.server.spdy_channels import upgrade
from wellhead.waiting import first_of

PROTOCOL = "SPDY/3.1+portforward.k8s.io"
SPDY_PROTOCOL = "portforward.k8s.io"

_log = logging.getLogger(__name__)
_PORT = re.compile(r"[0-9]{1,5}")
MOST_STREAMS = 1000
"""Of one session at a time."""
_QUEUE_LENGTH = 16  # pieces of input that a connection hasn't taken yet

Send = Callable[[bytes], Awaitable[None]]


async def tunnel(request: web.Request, state: PodState) -> web.StreamResponse:
    """Forward connections until the client leaves."""
    session = web.WebSocketResponse(protocols=(PROTOCOL,), compress=False)
    await session.prepare(request)
    async with asyncio.TaskGroup() as group:
        served = _Tunnel(state, session.send_bytes, group)
        try:
            async for message in session:
                if message.type is aiohttp.WSMsgType.BINARY:
                    await served.receive(message.data)
        except spdy.ProtocolError as error:
            _log.warning("port-forward: %s", error)
        except ConnectionError:
            pass  # the client has left
        served.cancel()
    await session.close()
    return session


async def tunnel_spdy(request: web.Request, state: PodState) -> web.StreamResponse:
    """The same over a connection that is SPDY itself, as kubectl before 1.31 asks. Raises HTTPForbidden."""
    session = await upgrade(request, SPDY_PROTOCOL)
    async with asyncio.TaskGroup() as group:
        served = _Tunnel(state, session.write, group)
        try:
            while data := await session.read():
                await served.receive(data)
        except spdy.ProtocolError as error:
            _log.warning("port-forward: %s", error)
        except ConnectionError:
            pass  # the client has left
        served.cancel()
    session.close()
    return session.response


class _Tunnel:
    """The streams of one session."""

    def __init__(self, state: PodState, send: Send, group: asyncio.TaskGroup) -> None:
        self._state = state
        self._send = send
        self._group = group
        self._decoder, self._encoder = spdy.Decoder(), spdy.Encoder()
        self._errors: dict[str, int] = {}
        self._connections: dict[int, _Connection] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def receive(self, data: bytes) -> None:
        """Raises ProtocolError, ConnectionError."""
        for frame in self._decoder.feed(data):
            match frame:
                case spdy.Open(stream, headers):
                    await self._open(stream, headers.get("streamtype", ""), headers)
                case spdy.Data(stream, piece, last):
                    if connection := self._connections.get(stream):
                        await connection.take(piece, last=last)
                case spdy.Reset(stream):
                    if connection := self._connections.get(stream):
                        connection.unwanted.set()
                case spdy.Ping(id) if id % 2:
                    await self._send(spdy.ping(id))

    def cancel(self) -> None:
        """End all connections."""
        for task in self._tasks:
            task.cancel()

    async def _open(self, stream: int, kind: str, headers: spdy.Headers) -> None:
        request, port = headers.get("requestid", ""), headers.get("port", "")
        error = self._errors.pop(request, None) if kind == "data" else None
        number = int(port) if _PORT.fullmatch(port) else 0
        together = len(self._errors) + len(self._connections)
        used = stream in self._connections or together >= MOST_STREAMS
        if used or not 0 < number < 65536 or (kind != "error" and error is None):
            await self._send(spdy.reset(stream))
            return
        await self._send(self._encoder.reply(stream))
        if error is None:
            self._errors[request] = stream
            return
        connection = self._connections[stream] = _Connection(self._send, number, data=stream, error=error)
        for work in (self._run(connection, stream), connection.feed()):
            task = self._group.create_task(work)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _run(self, connection: _Connection, stream: int) -> None:
        with contextlib.suppress(ConnectionError):  # the client has left
            await connection.run(self._state)
        del self._connections[stream]
        await connection.take(b"", last=True)


class _Connection:
    """A connection into the pod, and the two streams that stand for it."""

    def __init__(self, send: Send, port: int, *, data: int, error: int) -> None:
        self._send = send
        self._port = port
        self._data = data
        self._error = error
        self._input: asyncio.Queue[bytes] = asyncio.Queue(_QUEUE_LENGTH)
        self._input_ended = False
        self._writer: asyncio.StreamWriter | None = None
        self._decided = asyncio.Event()
        self.unwanted = asyncio.Event()
        """Set when the client has given the connection up."""

    async def take(self, data: bytes, *, last: bool) -> None:
        """Input from the client. Waits while too much of it is left."""
        if self._input_ended:
            return
        self._input_ended = last
        if data:
            await self._input.put(data)
        if last:
            await self._input.put(b"")

    async def feed(self) -> None:
        """Give the pod its input, to the end; what it doesn't want any more is dropped."""
        await self._decided.wait()
        while data := await self._input.get():
            with contextlib.suppress(ConnectionError):
                if self._writer is not None and not self._writer.is_closing():
                    self._writer.write(data)
                    await self._writer.drain()
        with contextlib.suppress(OSError):
            if self._writer is not None and not self._writer.is_closing():
                self._writer.write_eof()

    async def run(self, state: PodState) -> None:
        """Connect, show what the pod sends, and end both streams. Raises ConnectionError."""
        text = ""
        try:
            reader, self._writer = await connect(state, self._port)
        except OSError as error:
            text = f"error forwarding port {self._port} to pod: {error.strerror or error}"
        finally:
            self._decided.set()
        if self._writer is not None:
            try:
                await self._show(reader)
            finally:
                self._writer.transport.abort()
        if not self.unwanted.is_set():
            await self._send(spdy.data(self._data, b"", last=True))
        await self._send(spdy.data(self._error, text.encode(), last=True))

    async def _show(self, reader: asyncio.StreamReader) -> None:
        await first_of(self._copy(reader), self.unwanted.wait())

    async def _copy(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(BLOCK):
                await self._send(spdy.data(self._data, data))
