"""Writes by hand-written HTTP, a connection for each that is under way: what sends them shall cost little."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import msgspec

from wellhead.api.meta import Obj
from wellhead.api.resource import Resource
from wellhead.client.connection import load

_LENGTH = re.compile(rb"(?i)content-length: (\d+)")


def creation(resource: Resource, obj: Obj) -> bytes:
    """The request that creates an object."""
    body = msgspec.json.encode(obj)
    head = (
        f"POST {resource.path(obj['metadata'].get('namespace'))} HTTP/1.1\r\nHost: bench\r\n"
        f"User-Agent: wellhead-bench\r\nAccept: application/json\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def write(kubeconfig: Path, requests: Iterator[bytes], at_once: int) -> None:
    """Make all these requests over so many connections, each of which sends the next once it is answered.

    Raises RuntimeError for one that isn't answered by "created".
    """
    connection = load(str(kubeconfig))
    url = urlsplit(connection.server)
    loop = asyncio.get_running_loop()
    transports, writers = [], []
    try:
        for _ in range(at_once):
            transport, writer = await loop.create_connection(
                _Writer, url.hostname or "", url.port or 443, ssl=connection.ssl_context
            )
            transports.append(transport)
            writers.append(writer)
        await asyncio.gather(*map(partial(_Writer.run, requests=requests), writers))
    finally:
        for each in transports:
            each.abort()


class _Writer(asyncio.Protocol):
    def __init__(self) -> None:
        self._got = b""
        self._requests: Iterator[bytes] = iter(())
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's isn't one by its class

    async def run(self, requests: Iterator[bytes]) -> None:
        self._requests = requests
        self._next()
        await self._done

    def data_received(self, data: bytes) -> None:
        self._got += data
        head, found, body = self._got.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not found or length is None or len(body) < int(length[1]):
            return
        if head.startswith(b"HTTP/1.1 201 "):
            self._got = b""
            self._next()
        else:
            self._fail(self._got.decode())

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(f"the connection of a writer broke: {error}")

    def _next(self) -> None:
        request = next(self._requests, None)
        if request is not None:
            self._transport.write(request)
        elif not self._done.done():
            self._done.set_result(None)

    def _fail(self, why: str) -> None:
        if not self._done.done():
            self._done.set_exception(RuntimeError(why))
