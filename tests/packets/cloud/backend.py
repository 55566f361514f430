"""A server on the nodes that says whom it sees, by the connection, by PROXY protocol and by headers."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING

from tests.patience import PATIENCE

if TYPE_CHECKING:
    from tests.packets.cloud.conftest import Host, IPAddress

_V2 = b"\r\n\r\n\0\r\nQUIT\n"


@dataclass
class Answer:
    """What a node's server said: which node it is on, its peer, PROXY's source, and the headers it got."""

    node: str
    peer: str
    proxy: str
    headers: dict[str, list[str]] = field(default_factory=dict)


class Backends:
    """HTTP servers. `/drip` is answered with a line now and one for every `drip`, all else with an Answer."""

    def __init__(self) -> None:
        self._servers: list[asyncio.Server] = []
        self._drips: list[asyncio.StreamWriter] = []

    async def serve(self, host: Host, node: IPAddress, port: int) -> None:
        listener = host.socket(socket.SOCK_STREAM, version=node.version)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((str(node), port))

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await self._answer(node, reader, writer)
            except (OSError, asyncio.IncompleteReadError):
                pass
            finally:
                if writer not in self._drips:
                    writer.close()

        self._servers.append(await asyncio.start_server(answer, sock=listener))

    async def drip(self) -> None:
        """Send one more line on every download that is under way."""
        for writer in self._drips:
            writer.write(b"drip\n")

    def close(self) -> None:
        for server in self._servers:
            server.close()
        for writer in self._drips:
            writer.close()

    async def _answer(
        self, node: IPAddress, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        proxy, line = "none", await reader.readexactly(1)
        if line == _V2[:1]:
            header = line + await reader.readexactly(15)
            assert header.startswith(_V2)
            addresses = await reader.readexactly(int.from_bytes(header[14:16], "big"))
            size = 4 if header[13] >> 4 == 1 else 16  # AF_INET or AF_INET6
            proxy = f"v2 {ip_address(addresses[:size])} {ip_address(addresses[size : 2 * size])}"
            line = b""
        line += await reader.readline()
        if line.startswith(b"PROXY "):
            _, _, source, destination, *_ = line.decode().split()
            proxy = f"v1 {source} {destination}"
            line = await reader.readline()
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        echoed = next(
            (each for each in head.split("\r\n") if each.lower().startswith("x-ask: ")), "X-Ask: none"
        )
        if b" /drip " in line:
            writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\ndrip\n")
            self._drips.append(writer)
            return
        peer = writer.get_extra_info("peername")[0]
        body = f"{node}\n{peer}\n{proxy}\n{head}".encode()
        lines = ("HTTP/1.1 200 OK", "Connection: close", echoed, f"Content-Length: {len(body)}", "", "")
        writer.write("\r\n".join(lines).encode() + body)
        await writer.drain()


async def fetch(
    client: Host, vip: str, port: int, *headers: str, source: str = "", seconds: float = PATIENCE
) -> Answer:
    """Ask the server behind a VIP. Raises OSError, TimeoutError, or EOFError if the connection is closed."""
    sock = client.socket(socket.SOCK_STREAM, version=ip_address(vip).version)
    try:
        if source:
            sock.bind((source, 0))
        async with asyncio.timeout(seconds):
            await asyncio.get_running_loop().sock_connect(sock, (vip, port))
            reader, writer = await asyncio.open_connection(sock=sock)
            lines = "\r\n".join(
                ["GET / HTTP/1.1", "Host: example.com", "Connection: close", *headers, "", ""]
            )
            try:
                writer.write(lines.encode())
                text = (await reader.read()).decode()
            finally:
                writer.close()
    finally:
        sock.close()
    status, _, body = text.partition("\r\n\r\n")
    if " 200 " not in status.partition("\r\n")[0]:
        raise EOFError(status or "closed")
    node, peer, proxy, *rest = body.split("\n")
    answer = Answer(node, peer, proxy)
    for line in rest:
        name, colon, value = line.strip().partition(": ")
        if colon:
            answer.headers.setdefault(name.lower(), []).append(value)
    return answer


class Download:
    """A download that has begun, and goes on for as long as somebody drips."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def start(cls, client: Host, vip: str, port: int) -> Download:
        sock = client.socket(socket.SOCK_STREAM)
        async with asyncio.timeout(PATIENCE):
            await asyncio.get_running_loop().sock_connect(sock, (vip, port))
            reader, writer = await asyncio.open_connection(sock=sock)
            writer.write(b"GET /drip HTTP/1.1\r\nHost: example.com\r\n\r\n")
            await reader.readuntil(b"drip\n")
        return cls(reader, writer)

    async def goes_on(self, seconds: float = PATIENCE) -> bool:
        """Whether another line comes, of those that are dripped."""
        try:
            async with asyncio.timeout(seconds):
                return (await self._reader.readline()).endswith(b"drip\n")
        except (OSError, TimeoutError):
            return False

    async def ended(self, seconds: float = PATIENCE) -> bool:
        """Whether the connection is closed, or will be in this time."""
        try:
            async with asyncio.timeout(seconds):
                await self._reader.read()
        except TimeoutError:
            return False
        except OSError:
            pass
        return True

    def close(self) -> None:
        self._writer.close()
