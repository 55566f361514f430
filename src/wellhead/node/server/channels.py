"""The remote-command protocol over WebSocket, in all its versions.

Each message belongs to a channel: 0 standard input, 1 output, 2 error, 3 the final Status, 4 the terminal's
size; in v5 also 255, followed by the number of a channel that is closed.
Source: k8s.io/cri-streaming, remotecommand/websocket.go of v1.36; KEP-4006.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import msgspec
from aiohttp import web

from wellhead.api.meta import Obj
from wellhead.api.query import is_true
from wellhead.node.server import subprotocols
from wellhead.node.server.subprotocols import REMOTE_COMMAND

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
        self._protocol = REMOTE_COMMAND[""]
        self._socket = web.WebSocketResponse(compress=False)

    @property
    def response(self) -> web.WebSocketResponse:
        return self._socket

    async def open(self, request: web.Request) -> None:
        """Shake hands. Raises HTTPBadRequest if the client speaks no protocol of ours."""
        name = subprotocols.chosen(request, REMOTE_COMMAND)
        self._protocol = REMOTE_COMMAND[name]
        self._socket = web.WebSocketResponse(
            protocols=(name,) if name else (),
            max_msg_size=_MAX_MESSAGE,
            timeout=_CLOSE_PATIENCE,
            compress=False,
        )
        await self._socket.prepare(request)
        # An empty message on the first channel that it listens to tells the client that all is set up.
        listens = (STDOUT, "output"), (STDERR, "error")
        await self.send(next((each for each, name in listens if is_true(request.query, name)), STATUS), b"")

    async def send(self, channel: int, data: bytes) -> None:
        """Raises ConnectionError once the client is gone."""
        message = self._protocol.message(channel, data)
        if isinstance(message, str):
            await self._socket.send_str(message)
        else:
            await self._socket.send_bytes(message)

    async def received(self) -> AsyncIterator[Input | Resize]:
        """What the client sends, until it is gone."""
        async for message in self._socket:
            # Python's client sends strings as text messages, with the channel as their first character.
            sent = message.data.encode() if message.type is aiohttp.WSMsgType.TEXT else message.data
            if (content := self._protocol.content(sent)) is None:
                continue
            channel, data = content
            if channel == STDIN and data:
                yield Input(data)
            elif channel == CLOSE and self._protocol.closes_channels and data[:1] == bytes([STDIN]):
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
            if self._protocol.tells_status:
                await self.send(STATUS, msgspec.json.encode(status))
            elif status["status"] != "Success":
                await self.send(STATUS, status["message"].encode())
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
