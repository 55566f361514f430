"""A request that asks for another protocol, passed on with its connection: SPDY, WebSocket, whatever it is.

What is spoken afterwards is between the client and the server behind; here it is bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web
from yarl import URL

from wellhead.api.errors import InternalError
from wellhead.apiserver.subresources.node_connection import Unreachable
from wellhead.apiserver.subresources.relay import HOP_BY_HOP
from wellhead.apiserver.websockets import HEADER, websocket_protocols
from wellhead.raw_stream import BLOCK, RawStream
from wellhead.text import printable
from wellhead.waiting import first_of

_SWITCHING = 101  # the status: from here on it is another protocol
_CONNECT_SECONDS = 5.0
_MOST_HEAD = 64 * 1024  # bytes
_OWN = ("connection", "upgrade", HEADER.lower())

Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Refusal:
    """The answer of a server that doesn't change the protocol."""

    status: int
    headers: Headers
    body: bytes


async def pass_upgrade(
    request: web.BaseRequest,
    url: URL,
    headers: Headers,
    tls: ssl.SSLContext | None,
    server_name: str | None = None,
) -> web.StreamResponse | Refusal:
    """Ask the server at `url` for the same protocol, and join both connections until one of them ends.

    Its certificate must be for `server_name`, or else for the URL's host. Raises Unreachable, InternalError.
    """
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            reader, writer = await asyncio.open_connection(
                url.host,
                url.port,
                ssl=tls,
                limit=_MOST_HEAD,
                server_hostname=(server_name or url.host) if tls else None,
            )
    except (OSError, TimeoutError, ValueError) as error:
        raise Unreachable(url, error) from error
    try:
        writer.write(_request_head(request, url, headers))
        await writer.drain()
        status, answered = await _response_head(reader)
        if status != _SWITCHING:
            return await _refusal(status, answered, reader)
        client = await RawStream.open(request, [*answered, ("Connection", "Upgrade")])
        await first_of(_send(client, writer), _receive(reader, client))
        client.close()
        return client.response
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError) as error:
        raise InternalError(f"error dialing backend: {error}") from error
    finally:
        writer.transport.abort()


def _request_head(request: web.BaseRequest, url: URL, headers: Headers) -> bytes:
    lines = [f"{request.method} {url.raw_path_qs} HTTP/1.1"]
    lines += [f"{name}: {printable(value)}" for name, value in headers if name.lower() not in _OWN]
    if protocols := websocket_protocols(request):
        lines.append(f"{HEADER}: {printable(', '.join(protocols))}")
    lines += ["Connection: Upgrade", f"Upgrade: {printable(request.headers['Upgrade'])}"]
    return "\r\n".join([*lines, "", ""]).encode()


async def _response_head(reader: asyncio.StreamReader) -> tuple[int, Headers]:
    """Raises IncompleteReadError, LimitOverrunError, InternalError."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.split("\r\n")
    parts = first.split(" ", 2)
    if len(parts) < 2 or not parts[0].startswith("HTTP/1.") or not parts[1].isdecimal():
        raise InternalError("error dialing backend: malformed HTTP response")
    headers = [
        (name, value.strip()) for name, colon, value in (line.partition(":") for line in lines) if colon
    ]
    return int(parts[1]), [(name, value) for name, value in headers if name.lower() != "connection"]


def refused(answer: Refusal) -> web.Response:
    """The refusal as an answer."""
    response = web.Response(status=answer.status, body=answer.body)
    for name, value in answer.headers:
        if name.lower() not in HOP_BY_HOP:
            response.headers[name] = printable(value)
    return response


async def _refusal(status: int, headers: Headers, reader: asyncio.StreamReader) -> Refusal:
    length = next((value for name, value in headers if name.lower() == "content-length"), "")
    body = b""
    with contextlib.suppress(TimeoutError, OSError):
        async with asyncio.timeout(_CONNECT_SECONDS):
            body = await reader.read(min(int(length), _MOST_HEAD) if length.isdecimal() else _MOST_HEAD)
    return Refusal(status, headers, body)


async def _send(client: RawStream, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await client.read():
            writer.write(data)
            await writer.drain()


async def _receive(reader: asyncio.StreamReader, client: RawStream) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(BLOCK):
            await client.write(data)
