"""A request's connection as a stream of bytes, once it has been upgraded to something that isn't HTTP.

aiohttp knows upgrades to WebSocket alone; SPDY and whatever else is passed on needs the bytes themselves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from aiohttp import web

BLOCK = 64 * 1024  # bytes
_LIMIT = 256 * 1024  # bytes that came and weren't read: then the peer has to wait


class RawStream:
    """The server's side of the connection."""

    def __init__(self, request: web.BaseRequest, response: web.StreamResponse) -> None:
        self.response = response
        self._request = request
        self._received = _Received(request)

    @classmethod
    async def open(cls, request: web.BaseRequest, headers: Iterable[tuple[str, str]]) -> RawStream:
        """Answer 101, and take the connection over. Raises ConnectionError."""
        response = web.StreamResponse(status=101)
        for name, value in headers:
            response.headers.add(name, value)
        stream = cls(request, response)
        # From now on aiohttp hands on what comes instead of parsing it; the client waits for the answer.
        parser: Any = stream._received
        request.protocol.set_parser(parser)
        await response.prepare(request)
        await response.write(b"")
        return stream

    async def read(self) -> bytes:
        """What came; nothing once the client sends no more."""
        return await self._received.read()

    async def write(self, data: bytes) -> None:
        """Raises ConnectionError once the client is gone."""
        await self.response.write(data)

    def close(self) -> None:
        """Send what is written, and end the connection."""
        if self._request.transport is not None:
            self._request.transport.close()


class _Received:
    """What aiohttp's protocol calls a payload parser: takes the bytes as they come."""

    def __init__(self, request: web.BaseRequest) -> None:
        self._request = request
        self._buffer = bytearray()
        self._ended = False
        self._paused = False
        self._news = asyncio.Event()

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self._buffer += data
        self._news.set()
        transport = self._request.transport
        if len(self._buffer) > _LIMIT and not self._paused and transport is not None:
            self._paused = True
            transport.pause_reading()
        return False, b""

    def feed_eof(self) -> None:
        self._ended = True
        self._news.set()

    async def read(self) -> bytes:
        await self._news.wait()
        data = bytes(self._buffer)
        self._buffer.clear()
        if not self._ended:
            self._news.clear()
        transport = self._request.transport
        if self._paused and transport is not None and not transport.is_closing():
            self._paused = False
            transport.resume_reading()
        return data
