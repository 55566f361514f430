"""A page as a process would serve it, and a browser without a window."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, Self

import aiohttp
import msgspec

from tests.patience import PATIENCE
from wellhead.page.guard import Guard
from wellhead.page.model import Model
from wellhead.page.serving import bind, serve
from wellhead.page.source import Source


@dataclass
class Browser:
    """Has the link, and asks."""

    guard: Guard
    model: Model
    session: aiohttp.ClientSession

    async def call(
        self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """Status and body, decoded if it is JSON."""
        authorized = {"Authorization": f"Bearer {self.guard.token}"} | (headers or {})
        data = body if isinstance(body, bytes | None) else msgspec.json.encode(body)
        url = self.guard.origin + path
        async with self.session.request(method, url, data=data, headers=authorized) as response:
            told = await response.read()
            is_json = response.content_type == "application/json"
            return response.status, msgspec.json.decode(told) if is_json else told

    async def get(self, path: str) -> Any:
        status, body = await self.call("GET", path)
        assert status == 200, body
        return body

    async def post(self, path: str, body: object = b"") -> Any:
        status, told = await self.call("POST", path, body)
        assert status == 200, told
        return told

    @contextlib.asynccontextmanager
    async def follow(self) -> AsyncIterator[Followed]:
        """What the page is told from now on."""
        headers = {"Authorization": f"Bearer {self.guard.token}"}
        url = f"{self.guard.origin}/api/scene"
        async with self.session.get(url, headers=headers, timeout=aiohttp.ClientTimeout(None)) as response:
            assert response.status == 200, await response.text()
            yield Followed(response)


@dataclass
class Followed:
    """The events, and the picture that they make."""

    response: aiohttp.ClientResponse
    scene: dict[str, Any] = field(default_factory=dict)
    """Entities by id."""
    capabilities: dict[str, Any] = field(default_factory=dict)
    unread: list[dict[str, Any]] = field(default_factory=list)
    state: dict[str, Any] = field(default_factory=dict)
    ticks: dict[str, bool] = field(default_factory=dict)
    scenes: int = 0

    async def next(self) -> str:
        """Take in one event; its name."""
        text = b""
        while not text.endswith(b"\n\n"):
            line = await self.response.content.readline()
            if not line:
                raise EOFError
            text = b"" if line.startswith(b":") else text + line
            if text == b"\n":
                text = b""
        name, data = text.decode().rstrip("\n").split("\n")
        told = msgspec.json.decode(data.removeprefix("data: "))
        match name.removeprefix("event: "):
            case "scene":
                self.scenes += 1
                self.scene = {each["id"]: each for each in told["entities"]}
                self.capabilities, self.unread = told["capabilities"], told["unread"]
            case "change":
                self.scene |= {each["id"]: each for each in told["put"]}
                for each in told["gone"]:
                    self.scene.pop(each, None)
            case "state":
                self.state = told
            case "lesson":
                self.ticks = told["ticks"]
        return name.removeprefix("event: ")

    async def until(self, ask: Any) -> Any:
        """Take in events until the answer is right; that answer."""
        async with asyncio.timeout(PATIENCE):
            while not (answer := ask(self)):
                await self.next()
        return answer


@contextlib.asynccontextmanager
async def page(source: Source, *, allow_changes: bool = False) -> AsyncIterator[Browser]:
    """A page that is served, and a browser that has its link."""
    model = Model(source, allow_changes=allow_changes)
    announced: asyncio.Future[Guard] = asyncio.get_running_loop().create_future()
    sock = bind(ip_address("127.0.0.1"), None)
    serving = asyncio.create_task(serve(model, sock, announced.set_result))
    try:
        await asyncio.wait((serving, announced), return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            serving.result()
        async with aiohttp.ClientSession() as session:
            yield Browser(announced.result(), model, session)
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


class Gate:
    """A way to a server that can be closed: nobody gets through any more, until it is opened again."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._is_open = True
        self._carrying: set[asyncio.Task[None]] = set()
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._pass, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
        self._server.close()

    def open(self) -> None:
        self._is_open = True

    async def close(self) -> None:
        self._is_open = False
        for each in self._carrying:
            each.cancel()
        await asyncio.gather(*self._carrying, return_exceptions=True)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._carrying.add(task)
        try:
            if self._is_open:
                there, to = await asyncio.open_connection("127.0.0.1", self._to)
                try:
                    await asyncio.gather(_carry(reader, to), _carry(there, writer))
                finally:
                    to.transport.abort()
        finally:
            self._carrying.discard(task)
            writer.transport.abort()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
