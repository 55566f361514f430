"""An answer from behind the API server as the messages of a WebSocket, which its client only reads.

The protocols: binary.k8s.io, base64.binary.k8s.io, and, for who names none, the first of them. An empty
message says that it begins. Source: k8s.io/streaming, httpstream/wsstream/stream.go of v1.36.
"""

from __future__ import annotations

import base64
import contextlib

import aiohttp
from aiohttp import web

from wellhead.api.errors import BadRequest
from wellhead.apiserver.websockets import websocket_protocols
from wellhead.waiting import first_of

_TEXT = "base64.binary.k8s.io"
_PROTOCOLS = ("binary.k8s.io", _TEXT)


async def pass_on_in_messages(
    answer: aiohttp.ClientResponse, request: web.BaseRequest
) -> web.WebSocketResponse:
    """Pass the answer's body on as it comes, until it ends or the client leaves.

    Raises BadRequest if the client speaks neither protocol.
    """
    offered = websocket_protocols(request)
    chosen = next((name for name in offered if name in _PROTOCOLS), "")
    if offered and not chosen:
        raise BadRequest(f"requested protocols are not supported: {offered}; supports {list(_PROTOCOLS)}")
    socket = web.WebSocketResponse(protocols=(chosen,) if chosen else (), timeout=5.0, compress=False)
    await socket.prepare(request)

    async def send(data: bytes) -> None:
        if chosen == _TEXT:
            await socket.send_str(base64.b64encode(data).decode())
        else:
            await socket.send_bytes(data)

    async def show() -> None:
        with contextlib.suppress(aiohttp.ClientError, OSError):
            await send(b"")
            while chunk := await answer.content.readany():
                await send(chunk)

    async def listen() -> None:
        async for _ in socket:
            pass  # what a client says here means nothing

    await first_of(show(), listen())
    await socket.close()
    return socket
