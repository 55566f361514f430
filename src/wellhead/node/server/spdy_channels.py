"""The remote-command protocol over SPDY/3.1, for clients older than the one over WebSocket (kubectl < 1.30).

Each channel is a stream that the client opens, and whose header `streamtype` names it. The final Status goes
down the stream `error`, which thereby isn't standard error. Source: k8s.io/kubelet's remotecommand package.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator

import msgspec
from aiohttp import web

from wellhead.api.meta import Obj
from wellhead.api.query import is_true
from wellhead.node.server import spdy
from wellhead.node.server.channels import RESIZE, STATUS, STDERR, STDIN, STDOUT, Channels, Input, Resize
from wellhead.raw_stream import RawStream

UPGRADE = "SPDY/3.1"
PROTOCOL = "v4.channel.k8s.io"
PROTOCOL_HEADER = "X-Stream-Protocol-Version"

_KINDS = {"stdin": STDIN, "stdout": STDOUT, "stderr": STDERR, "error": STATUS, "resize": RESIZE}
_PATIENCE = 30.0  # seconds for the client to open its streams
_CLOSE_PATIENCE = 5.0  # seconds for the client to end the connection
_MOST_EARLY = 1 << 20  # bytes
_PIECE = 32 * 1024  # bytes in a frame, as client-go sends them


def is_spdy(request: web.BaseRequest) -> bool:
    """Whether the client asks for SPDY."""
    return request.headers.get("Upgrade", "").lower() == UPGRADE.lower()


def channels_for(request: web.Request) -> Channels | SpdyChannels:
    """The channels in the protocol that the client asks for."""
    return SpdyChannels() if is_spdy(request) else Channels()


async def upgrade(request: web.Request, protocol: str) -> RawStream:
    """Change to SPDY. Raises HTTPForbidden if the client doesn't offer the protocol on top of it."""
    offered = [
        each.strip() for value in request.headers.getall(PROTOCOL_HEADER, []) for each in value.split(",")
    ]
    if protocol not in offered:
        raise web.HTTPForbidden(
            text=f"unable to upgrade: unable to negotiate protocol: client supports {offered}, server accepts"
            f" {[protocol]}"
        )
    headers = (("Connection", "Upgrade"), ("Upgrade", UPGRADE), (PROTOCOL_HEADER, protocol))
    return await RawStream.open(request, headers)


class SpdyChannels:
    """The server's side of one session; to be used as `Channels` is."""

    def __init__(self) -> None:
        self._stream: RawStream | None = None
        self._decoder, self._encoder = spdy.Decoder(), spdy.Encoder()
        self._streams: dict[int, int] = {}  # channel -> the stream's number
        self._channels: dict[int, int] = {}
        self._early: deque[Input | Resize] = deque()

    @property
    def response(self) -> web.StreamResponse:
        return web.StreamResponse() if self._stream is None else self._stream.response

    async def open(self, request: web.Request) -> None:
        """Shake hands, and wait for the client's streams. Raises HTTPForbidden, ConnectionError."""
        self._stream = await upgrade(request, PROTOCOL)
        wanted, early = _wanted(request), 0
        try:
            async with asyncio.timeout(_PATIENCE):
                while not wanted <= self._streams.keys():
                    if not (data := await self._stream.read()):
                        raise ConnectionResetError("the client has left")
                    self._early += [each async for each in self._frames(data)]
                    if (early := early + len(data)) > _MOST_EARLY:
                        self._stream.close()
                        raise ConnectionResetError("the client sends much before it has opened its streams")
        except TimeoutError:
            self._stream.close()
            raise ConnectionResetError("the client did not open its streams") from None

    async def send(self, channel: int, data: bytes) -> None:
        """Raises ConnectionError once the client is gone."""
        if (number := self._streams.get(channel)) is not None:
            for start in range(0, len(data), _PIECE):
                await self._write(spdy.data(number, data[start : start + _PIECE]))

    async def received(self) -> AsyncIterator[Input | Resize]:
        """What the client sends, until it is gone."""
        while self._early:
            yield self._early.popleft()
        while self._stream is not None and (data := await self._stream.read()):
            async for each in self._frames(data):
                yield each

    async def finish(self, status: Obj) -> None:
        """Send the final Status and close."""
        if self._stream is None:
            return
        with contextlib.suppress(ConnectionError, TimeoutError):
            await self.send(STATUS, msgspec.json.encode(status))
            for channel in (STDOUT, STDERR, STATUS):
                if (number := self._streams.get(channel)) is not None:
                    await self._write(spdy.data(number, b"", last=True))
            async with asyncio.timeout(_CLOSE_PATIENCE):
                while await self._stream.read():
                    pass
        self._stream.close()

    async def _frames(self, data: bytes) -> AsyncIterator[Input | Resize]:
        """What the frames in `data` mean; what they ask for is answered."""
        try:
            for frame in self._decoder.feed(data):
                match frame:
                    case spdy.Open(stream, headers):
                        await self._open(stream, headers.get("streamtype", ""))
                    case spdy.Data(stream, piece, last):
                        for each in self._meant(self._channels.get(stream), piece, last=last):
                            yield each
                    case spdy.Ping(id) if id % 2:
                        await self._write(spdy.ping(id))
        except spdy.ProtocolError as error:
            if self._stream is not None:
                self._stream.close()
            raise ConnectionResetError(str(error)) from error

    async def _open(self, stream: int, kind: str) -> None:
        channel = _KINDS.get(kind)
        if channel is None or channel in self._streams:
            await self._write(spdy.reset(stream))
            return
        self._streams[channel] = stream
        self._channels[stream] = channel
        await self._write(self._encoder.reply(stream))

    def _meant(self, channel: int | None, data: bytes, *, last: bool) -> list[Input | Resize]:
        if channel == STDIN:
            return [*([Input(data)] if data else []), *([Input(b"")] if last else [])]
        if channel == RESIZE and data:
            try:
                size = msgspec.json.decode(data, type=dict[str, int])
                return [Resize(size["Height"], size["Width"])]
            except (msgspec.DecodeError, KeyError):
                return []
        return []

    async def _write(self, data: bytes) -> None:
        if self._stream is not None:
            await self._stream.write(data)


def _wanted(request: web.Request) -> set[int]:
    """The channels that the client is going to open."""
    tty = is_true(request.query, "tty")
    wanted = {STATUS}
    for name, channel in (("input", STDIN), ("output", STDOUT)):
        if is_true(request.query, name):
            wanted.add(channel)
    if is_true(request.query, "error") and not tty:
        wanted.add(STDERR)
    if tty:
        wanted.add(RESIZE)
    return wanted
