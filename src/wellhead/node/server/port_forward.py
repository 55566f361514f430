"""GET /portForward/NAMESPACE/POD?ports=N: connections into a pod's network over one WebSocket.

The protocol is the kubelet's older one: for the i-th port, channel 2i carries data and 2i+1 errors, and both
begin with the port's number (two bytes, little-endian). Source: k8s.io/cri-streaming,
portforward/websocket.go. kubectl speaks a newer one: see `port_tunnel`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

import aiohttp
from aiohttp import web

from wellhead.node.pods.state import PodState
from wellhead.node.server import port_tunnel, requests, subprotocols
from wellhead.node.server.pod_connection import BLOCK, connect
from wellhead.node.server.spdy_channels import is_spdy
from wellhead.node.server.subprotocols import PORT_FORWARD, Subprotocol


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
    name = subprotocols.chosen(request, PORT_FORWARD)
    session = web.WebSocketResponse(protocols=(name,) if name else (), compress=False)
    await session.prepare(request)
    speaks = PORT_FORWARD[name]
    connections = [_Connection(session, speaks, 2 * index, port) for index, port in enumerate(ports)]
    async with asyncio.TaskGroup() as group:
        listening = group.create_task(_feed(session, speaks, connections))
        forwarding = [group.create_task(connection.run(state)) for connection in connections]
        listening.add_done_callback(lambda _: [task.cancel() for task in forwarding])
        await asyncio.wait(forwarding)
        # Nothing in this protocol says that one port's connection has ended; once all have, the session has.
        listening.cancel()
    await session.close()
    return session


async def _feed(
    session: web.WebSocketResponse, speaks: Subprotocol, connections: Sequence[_Connection]
) -> None:
    """Hand out what the client sends, until it leaves."""
    async for message in session:
        sent = message.data.encode() if message.type is aiohttp.WSMsgType.TEXT else message.data
        if (content := speaks.content(sent)) is None:
            continue
        index, is_error = divmod(content[0], 2)
        if index < len(connections) and not is_error:
            await connections[index].send(content[1])


class _Connection:
    def __init__(self, session: web.WebSocketResponse, speaks: Subprotocol, channel: int, port: int) -> None:
        self._session = session
        self._speaks = speaks
        self._channel = channel
        self._port = port
        self._writer: asyncio.StreamWriter | None = None
        self._ready = asyncio.Event()

    async def run(self, state: PodState) -> None:
        number = self._port.to_bytes(2, "little")
        with contextlib.suppress(ConnectionError):
            await self._say(self._channel, number)
            await self._say(self._channel + 1, number)
            try:
                reader, self._writer = await connect(state, self._port)
            except OSError as error:
                text = f"error forwarding port {self._port} to pod: {error.strerror or error}"
                await self._say(self._channel + 1, text.encode())
                return
            finally:
                self._ready.set()
            try:
                while data := await reader.read(BLOCK):
                    await self._say(self._channel, data)
            finally:
                self._writer.close()

    async def _say(self, channel: int, data: bytes) -> None:
        message = self._speaks.message(channel, data)
        if isinstance(message, str):
            await self._session.send_str(message)
        else:
            await self._session.send_bytes(message)

    async def send(self, data: bytes) -> None:
        await self._ready.wait()
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(data)
            with contextlib.suppress(ConnectionError):
                await self._writer.drain()
