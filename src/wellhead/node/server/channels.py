"""The remote-command protocol over WebSocket: v4.channel.k8s.io and v5.channel.k8s.io.

Each binary message begins with a channel byte: 0 standard input, 1 output, 2 error, 3 the final Status, 4 the
terminal's size; in v5 also 255, followed by the number of a channel that is closed.
Source: k8s.io/apimachinery remotecommand constants, KEP-4006.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import msgspec
from aiohttp import web

from wellhead.api.meta import Obj

PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
STDIN, STDOUT, STDERR, STATUS, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255

_CLOSE_PATIENCE = 5.0  # seconds for the client to answer our closing
_MAX_MESSAGE = 16 << 20


@dataclass(frozen=True)
class Input:
    """Bytes for standard input; none: that was all."""

    data: bytes


@dataclass(frozen=True)
class Resize:
    """The client's terminal has this size now."""

    rows: int
    columns: int


class Channels:
    """The server's side of one session."""

    def __init__(self) -> None:
        self._socket = web.WebSocketResponse(
            protocols=PROTOCOLS, max_msg_size=_MAX_MESSAGE, timeout=_CLOSE_PATIENCE, compress=False
        )

    @property
    def response(self) -> web.WebSocketResponse:
        return self._socket

    async def open(self, request: web.Request) -> None:
        """Shake hands. Raises HTTPBadRequest if the client speaks no protocol of ours."""
        offered = {each.strip() for each in request.headers.get("Sec-WebSocket-Protocol", "").split(",")}
        if not offered.intersection(PROTOCOLS):
            raise web.HTTPBadRequest(text=f"unable to upgrade: speak WebSocket with {' or '.join(PROTOCOLS)}")
        await self._socket.prepare(request)

    async def send(self, channel: int, data: bytes) -> None:
        """Raises ConnectionError once the client is gone."""
        await self._socket.send_bytes(bytes([channel]) + data)

    async def received(self) -> AsyncIterator[Input | Resize]:
        """What the client sends, until it is gone."""
        async for message in self._socket:
            # Python's client sends strings as text messages, with the channel as their first character.
            sent = message.data.encode() if message.type is aiohttp.WSMsgType.TEXT else message.data
            if not sent:
                continue
            channel, data = sent[0], sent[1:]
            if channel == STDIN and data:
                yield Input(data)
            elif channel == CLOSE and data[:1] == bytes([STDIN]):
                yield Input(b"")
            elif channel == RESIZE:
                try:
                    size = msgspec.json.decode(data, type=dict[str, int])
                    yield Resize(size["Height"], size["Width"])
                except (msgspec.DecodeError, KeyError):
                    continue

    async def finish(self, status: Obj) -> None:
        """Send the final Status and close."""
        try:
            await self.send(STATUS, msgspec.json.encode(status))
            await self._socket.close()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # nobody is left to hear it


def success() -> Obj:
    return {"metadata": {}, "status": "Success"}


def exited(code: int) -> Obj:
    """How a command's exit code is told."""
    if code == 0:
        return success()
    return {
        "metadata": {},
        "status": "Failure",
        "reason": "NonZeroExitCode",
        "message": f"command terminated with non-zero exit code: exit status {code}",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


def failure(message: str) -> Obj:
    return {
        "metadata": {},
        "status": "Failure",
        "reason": "InternalError",
        "message": f"Internal error occurred: {message}",
        "details": {"causes": [{"message": message}]},
        "code": 500,
    }
