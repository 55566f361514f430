"""GET /portForward/NAMESPACE/POD?ports=N: connections into a pod's network over one WebSocket.

The protocol is the kubelet's older one: for the i-th port, channel 2i carries data and 2i+1 errors, and both
begin with the port's number (two bytes, little-endian). Source: k8s.io/kubelet, portforward/websocket.go.
kubectl speaks a newer one: see `port_tunnel`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

import aiohttp
from aiohttp import web

from wellhead.node.pods.state import PodState
from wellhead.node.server import port_tunnel, requests
from wellhead.node.server.pod_connection import BLOCK, connect
from wellhead.node.server.spdy_channels import is_spdy

_PROTOCOLS = ("v4.channel.k8s.io",)


async def port_forward(request: web.Request) -> web.StreamResponse:
    """Raises HTTPBadRequest for ports that make no sense."""
    state = requests.pod(request)
    requests.needs_upgrade(request)
    if is_spdy(request):
        return await port_tunnel.tunnel_spdy(request, state)
    if port_tunnel.PROTOCOL in request.headers.get("Sec-WebSocket-Protocol", ""):
        return await port_tunnel.tunnel(request, state)
    try:
        ports = [int(port) for text in request.query.getall("ports", []) for port in text.split(",")]
    except ValueError as error:
        raise web.HTTPBadRequest(text=f"bad port: {error}") from None
    if not ports or not all(0 < port < 65536 for port in ports):
        raise web.HTTPBadRequest(text='query parameter "ports" is required: numbers from 1 to 65535')
    session = web.WebSocketResponse(protocols=_PROTOCOLS, compress=False)
    await session.prepare(request)
    connections = [_Connection(session, 2 * index, port) for index, port in enumerate(ports)]
    async with asyncio.TaskGroup() as group:
        listening = group.create_task(_feed(session, connections))
        forwarding = [group.create_task(connection.run(state)) for connection in connections]
        listening.add_done_callback(lambda _: [task.cancel() for task in forwarding])
        await asyncio.wait(forwarding)
        # Nothing in this protocol says that one port's connection has ended; once all have, the session has.
        listening.cancel()
    await session.close()
    return session


async def _feed(session: web.WebSocketResponse, connections: Sequence[_Connection]) -> None:
    """Hand out what the client sends, until it leaves."""
    async for message in session:
        if message.type is aiohttp.WSMsgType.BINARY and message.data:
            index = message.data[0] // 2
            if index < len(connections) and message.data[0] % 2 == 0:
                await connections[index].send(message.data[1:])


class _Connection:
    def __init__(self, session: web.WebSocketResponse, channel: int, port: int) -> None:
        self._session = session
        self._channel = channel
        self._port = port
        self._writer: asyncio.StreamWriter | None = None
        self._ready = asyncio.Event()

    async def run(self, state: PodState) -> None:
        number = self._port.to_bytes(2, "little")
        with contextlib.suppress(ConnectionError):
            await self._session.send_bytes(bytes([self._channel]) + number)
            await self._session.send_bytes(bytes([self._channel + 1]) + number)
            try:
                reader, self._writer = await connect(state, self._port)
            except OSError as error:
                text = f"error forwarding port {self._port} to pod: {error.strerror or error}"
                await self._session.send_bytes(bytes([self._channel + 1]) + text.encode())
                return
            finally:
                self._ready.set()
            try:
                while data := await reader.read(BLOCK):
                    await self._session.send_bytes(bytes([self._channel]) + data)
            finally:
                self._writer.close()

    async def send(self, data: bytes) -> None:
        await self._ready.wait()
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(data)
            with contextlib.suppress(ConnectionError):
                await self._writer.drain()
